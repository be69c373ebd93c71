#include "text/chat_template.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "base/quote.h"
#include "text/chat_families.h"
#include "text/white_space.h"

namespace ondine::text {
namespace {

std::string FamilyList() {
  std::string list;
  for (const ChatFamily& family : ChatFamilies()) {
    if (!list.empty()) list += ", ";
    list += family.name;
  }
  return list;
}

// ChatML templates differ in the system text that they write unasked: it stands in the source as a
// literal between the marks of a system turn.
std::string DefaultSystemOf(std::string_view jinja) {
  constexpr std::string_view kBegin = "<|im_start|>system\n";
  constexpr std::string_view kEnd = "<|im_end|>";
  for (std::size_t at = jinja.find(kBegin); at < jinja.size(); at = jinja.find(kBegin, at + 1)) {
    const std::string_view rest = jinja.substr(at + kBegin.size());
    const std::string_view text = rest.substr(0, rest.find(kEnd));
    const bool literal = text.size() < rest.size() && !text.empty() &&
                         text.find_first_of("'\"{}\\") == std::string_view::npos;
    if (literal) return std::string(text);
  }
  return "";
}

bool Matches(const ChatRule& rule, std::string_view jinja) {
  return std::all_of(
      std::begin(rule.contains), std::end(rule.contains),
      [&](std::string_view part) { return jinja.find(part) != std::string_view::npos; });
}

const Around* AroundOf(const ChatFamily& family, std::string_view role) {
  if (role == "user") return &family.user;
  if (role == "assistant") return &family.assistant;
  return nullptr;
}

std::string_view WithoutReasoning(Reasoning reasoning, std::string_view answer) {
  constexpr std::string_view kEnd = "</think>";
  const std::size_t end = answer.rfind(kEnd);
  if (reasoning == Reasoning::kKept || end == std::string_view::npos) return answer;
  answer.remove_prefix(end + kEnd.size());
  if (reasoning == Reasoning::kDroppedWithLineBreaks) {
    answer.remove_prefix(std::min(answer.find_first_not_of('\n'), answer.size()));
  }
  return answer;
}

// The source with the line breaks that its literals spell as \n.
std::string WithLineBreaks(std::string_view jinja) {
  std::string out;
  for (std::size_t i = 0; i < jinja.size(); ++i) {
    const bool spelled = jinja.substr(i).starts_with("\\n");
    out += spelled ? '\n' : jinja[i];
    i += spelled ? 1 : 0;
  }
  return out;
}

}  // namespace

Result<ChatTemplate> ChatTemplate::Recognize(std::string_view jinja) {
  const std::string source = WithLineBreaks(jinja);
  std::string_view refusal = "its form is not known";
  for (const ChatRule& rule : ChatRules()) {
    if (!Matches(rule, source)) continue;
    if (rule.family.empty()) {
      refusal = rule.refusal;
      break;
    }
    Result<ChatTemplate> found = ByName(rule.family);
    if (found && rule.family == "chatml") found->default_system_ = DefaultSystemOf(source);
    return found;
  }
  return MakeError(ErrorCode::kUnsupported,
                   "the model's chat template cannot be used (" + std::string(refusal) +
                       "); choose a family with --chat-template: " + FamilyList());
}

Result<ChatTemplate> ChatTemplate::ByName(std::string_view name) {
  const ChatFamily* family = FindChatFamily(name);
  if (family == nullptr) {
    return MakeError(ErrorCode::kNotFound, "no chat template is called " + base::Quote(name) +
                                               "; known are " + FamilyList());
  }
  ChatTemplate result;
  result.name_ = family->name;
  result.default_system_ = family->default_system;
  return result;
}

std::vector<std::string> ChatTemplate::Names() {
  std::vector<std::string> names;
  for (const ChatFamily& family : ChatFamilies()) names.emplace_back(family.name);
  return names;
}

Result<std::string> ChatTemplate::Render(const std::vector<ChatMessage>& messages,
                                         bool open_assistant) const {
  const ChatFamily& family = *FindChatFamily(name_);
  const bool given = !messages.empty() && messages[0].role == "system";
  const std::size_t first = given ? 1 : 0;
  std::string_view system = given ? std::string_view{messages[0].content} : default_system_;
  if (family.trims_system) system = Trimmed(system);
  std::string system_text;
  if (given || !system.empty() || family.always_system) {
    system_text.append(family.system.begin).append(system).append(family.system.end);
  }

  // The user message that carries the system text.
  std::size_t carrier = messages.size();
  if (family.place != SystemPlace::kOwnTurn) {
    for (std::size_t i = first; i < messages.size(); ++i) {
      if (messages[i].role != "user") continue;
      carrier = i;
      if (family.place == SystemPlace::kFirstUser) break;
    }
    if (carrier == messages.size() && !system_text.empty()) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "chat template " + name_ +
                           " puts the system text in front of a user message, and there is none");
    }
  }

  std::string out;
  if (family.place == SystemPlace::kOwnTurn) out = system_text;
  for (std::size_t i = first; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    const Around* around = AroundOf(family, message.role);
    if (around == nullptr) {
      return MakeError(ErrorCode::kInvalidArgument,
                       message.role == "system"
                           ? "a system message must be the first of a conversation"
                           : "messages of role " + base::Quote(message.role) +
                                 " are not known, only system, user and assistant");
    }
    const bool later_user = i > first && message.role == "user" && !family.later_user_begin.empty();
    std::string_view content = message.content;
    if (message.role == "assistant") content = WithoutReasoning(family.reasoning, content);
    if (family.trims) content = Trimmed(content);
    out += later_user ? family.later_user_begin : around->begin;
    if (i == carrier) out += system_text;
    out.append(content).append(around->end);
  }
  if (open_assistant) out += family.open;
  return out;
}

}  // namespace ondine::text
