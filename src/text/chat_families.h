// The chat template families as data: the text around the messages of each role, and how a family's
// Jinja source is recognised.
#ifndef ONDINE_SRC_TEXT_CHAT_FAMILIES_H_
#define ONDINE_SRC_TEXT_CHAT_FAMILIES_H_

#include <span>
#include <string_view>

namespace ondine::text {

// Where the system text goes.
enum class SystemPlace {
  kOwnTurn,
  kFirstUser,  // in front of the first user message
  kLastUser,   // in front of the last user message
};

// What becomes of the text up to </think> in the assistant's earlier answers.
enum class Reasoning { kKept, kDropped, kDroppedWithLineBreaks };

struct Around {
  std::string_view begin;
  std::string_view end;
};

struct ChatFamily {
  std::string_view name;
  Around system;
  Around user;
  Around assistant;
  std::string_view open;  // begins the assistant's next turn

  SystemPlace place = SystemPlace::kOwnTurn;
  std::string_view later_user_begin = {};  // of user messages but the first, where it differs
  std::string_view default_system = {};    // the family's own; a template may bring another
  bool always_system = false;              // writes a system turn even where it is empty
  bool trims = false;                      // user and assistant text loses white space at its ends
  bool trims_system = false;
  Reasoning reasoning = Reasoning::kKept;
};

std::span<const ChatFamily> ChatFamilies();
const ChatFamily* FindChatFamily(std::string_view name);  // null for an unknown name

// The first rule all of whose substrings are in the Jinja source decides. The two characters \n of
// a Jinja literal count as a line break.
struct ChatRule {
  std::string_view contains[3];  // unused ones are empty
  std::string_view family;       // empty: refused
  std::string_view refusal;      // why
};
std::span<const ChatRule> ChatRules();

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_CHAT_FAMILIES_H_
