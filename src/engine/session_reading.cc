// Reading a text, and asking about it.
#include <algorithm>
#include <deque>
#include <map>
#include <span>

#include "base/try.h"
#include "engine/generator.h"
#include "engine/pot_undo.h"
#include "engine/session_impl.h"

namespace ondine {

using engine::EncodeBeginning;
using engine::EncodeFrame;
using engine::EncodeText;
using engine::Frame;
using memory::Pot;

namespace {

// Of the pot: what `truncate` leaves free for question and answer where nobody says how much.
constexpr std::int64_t kTruncateReserveShare = 4;

// Of the pot: what is read once more for a question.
constexpr std::int64_t kRereadShare = 8;

// Tokens of the archive for each slot: 512 bytes beside some 20 kB of keys and values.
constexpr std::int64_t kArchivePerSlot = 32;

// What was measured best for texts that are read to be asked about, where the user left it open.
PotSettings ForText(PotSettings settings, bool question_known) {
  const bool best = settings.policy == PotPolicy::kInfiniPot;
  if (!settings.alpha) settings.alpha = question_known ? 0.5 : 1;
  if (!settings.consolidate) settings.consolidate = best;
  if (!settings.archive) {
    const std::int64_t slots = std::clamp<std::int64_t>(settings.slots, 0, memory::kMostSlots);
    settings.archive = best ? std::min(kArchivePerSlot * slots, memory::kMostSlots) : 0;
  }
  return settings;
}

}  // namespace

Status Session::Impl::Read(TextSource& text, const ReadOptions& options) {
  const bool aware = !options.question.empty();
  PotSettings settings = ForText(SettingsOfPot(), aware);
  if (settings.policy == PotPolicy::kFull) {
    settings.slots = std::max(settings.slots, model_->info().trained_context);
  }
  ONDINE_ASSIGN(Frame frame, engine::DocumentFrame(parts(), options.system, options.chat_template));
  std::vector<TokenId> catalyst =
      EncodeText(parts(), aware ? options.question : settings.catalyst, true);
  if (aware) {
    // As long a question as is protected when it is asked.
    const auto longest = static_cast<std::size_t>(settings.slots / 8);
    if (catalyst.size() > longest) {
      catalyst.erase(catalyst.begin(), catalyst.end() - static_cast<std::ptrdiff_t>(longest));
    }
  }
  ONDINE_TRY(MakePot(settings, std::move(catalyst)));
  question_aware_ = aware;
  ONDINE_TRY(pot_->Feed(EncodeBeginning(parts(), frame), Pot::Part::kPrefix, options.stop_token));
  engine::TokenStream tokens(text, parts().tokenizer);
  if (settings.policy == PotPolicy::kTruncate) {
    ONDINE_TRY(ReadEnds(tokens, options));
  } else {
    ONDINE_TRY(ReadStream(tokens, options));
  }
  ONDINE_TRY(pot_->EndText(options.stop_token));
  document_ = std::move(frame);
  return {};
}

void Session::Impl::ReportProgress(const engine::TokenStream& tokens, const base::Timer& timer,
                                   const ReadOptions& options) const {
  if (!options.on_progress) return;
  options.on_progress({pot_->counters().tokens, timer.Elapsed(), pot_->length(), pot_->capacity(),
                       pot_->counters().distillations, static_cast<std::int64_t>(tokens.bytes())});
}

Status Session::Impl::ReadStream(engine::TokenStream& tokens, const ReadOptions& options) {
  const base::Timer timer;
  while (true) {
    ONDINE_ASSIGN(const std::vector<TokenId> piece, tokens.Next());
    if (piece.empty()) return {};
    for (std::size_t i = 0; i < piece.size(); i += kStep) {
      ONDINE_TRY(pot_->Feed(std::span(piece).subspan(i, std::min(kStep, piece.size() - i)),
                            Pot::Part::kText, options.stop_token));
      ReportProgress(tokens, timer, options);
    }
  }
}

// The first and the last part of the text that fit; only the last part is held back.
Status Session::Impl::ReadEnds(engine::TokenStream& tokens, const ReadOptions& options) {
  const base::Timer timer;
  const std::int64_t slots = pot_->capacity();
  const std::int64_t reserve = std::clamp<std::int64_t>(
      options.reserve.value_or(slots / kTruncateReserveShare), 0, slots / 2);
  const std::int64_t room = std::max<std::int64_t>(0, slots - reserve - pot_->prefix_tokens());
  auto head = static_cast<std::size_t>(room / 2);
  const std::size_t tail = static_cast<std::size_t>(room) - head;
  std::deque<TokenId> end;
  while (true) {
    ONDINE_ASSIGN(const std::vector<TokenId> piece, tokens.Next());
    if (piece.empty()) break;
    if (options.stop_token.Stopped()) return MakeError(ErrorCode::kCancelled, "stopped");
    const std::size_t begin = std::min(head, piece.size());
    ONDINE_TRY(pot_->Feed(std::span(piece).first(begin), Pot::Part::kText, options.stop_token));
    head -= begin;
    end.insert(end.end(), piece.begin() + static_cast<std::ptrdiff_t>(begin), piece.end());
    while (end.size() > tail) end.pop_front();
    ReportProgress(tokens, timer, options);
  }
  return pot_->Feed(std::vector<TokenId>(end.begin(), end.end()), Pot::Part::kText,
                    options.stop_token);
}

Status Session::Impl::FeedQuestion(const std::vector<TokenId>& question, const StopToken& stop) {
  const auto longest = static_cast<std::size_t>(std::max<std::int64_t>(1, pot_->LongestQuestion()));
  const std::size_t excess = question.size() > longest ? question.size() - longest : 0;
  ONDINE_TRY(pot_->Feed(std::span(question).first(excess), Pot::Part::kText, stop));
  ONDINE_TRY(pot_->Feed(std::span(question).subspan(excess), Pot::Part::kQuestion, stop));
  return pot_->Flush(stop);
}

engine::Passages Session::Impl::PassagesFor(std::string_view question,
                                            const AskOptions& options) const {
  if (pot_->counters().distillations == 0) return {};  // everything is there
  const bool usual = pot_->settings().policy == PotPolicy::kInfiniPot;
  const std::int64_t most = options.reread.value_or(usual ? pot_->capacity() / kRereadShare : 0);
  const std::span<const memory::KnownToken> known = pot_->known();
  const auto text = std::partition_point(known.begin(), known.end(), [&](const auto& token) {
    return token.origin < pot_->prefix_tokens();
  });
  return engine::FindPassages(*model_, {text, known.end()},
                              std::string(question) + " " + options.prefix, most);
}

Result<Answer> Session::Impl::Ask(std::string_view question, const AskOptions& options) {
  if (!document_) {
    return MakeError(ErrorCode::kInvalidArgument, "there is no text to ask about: read one first");
  }
  ONDINE_TRY(engine::CheckGeneration(options.generation));
  const StopToken& stop = options.generation.stop_token;
  std::vector<TokenId> tokens =
      EncodeText(parts(), std::string(engine::kQuestionLead) + std::string(question), true);
  const std::string begin = options.prefix.empty() ? "" : " " + options.prefix;
  for (const auto& part :
       {EncodeFrame(parts(), document_->behind, false), EncodeText(parts(), begin, true)}) {
    tokens.insert(tokens.end(), part.begin(), part.end());
  }
  const base::Timer timer;
  // Passages stand behind all that the pot holds, where a model looks first, and survive with the
  // question where answering it needs a distillation.
  engine::Passages passages = PassagesFor(question, options);
  const std::size_t reread = passages.tokens.size();
  tokens.insert(tokens.begin(), passages.tokens.begin(), passages.tokens.end());
  const auto more = static_cast<std::int64_t>(tokens.size());
  ONDINE_ASSIGN(auto undo, engine::PotUndo::Begin(*pot_, more + options.generation.max_tokens));
  GenerationOptions generation = options.generation;
  generation.min_tokens = std::max(1, generation.min_tokens);  // silence is no answer
  double seconds_prompt = 0;
  // What runs out of memory is undone like everything else.
  Result<Generation> result = base::Guarded([&]() -> Result<Generation> {
    ONDINE_TRY(FeedQuestion(tokens, stop));
    seconds_prompt = timer.Elapsed();
    return engine::Generate(parts(), *pot_, std::span(tokens).subspan(reread), generation);
  });
  peak_bytes_ = std::max(peak_bytes_, static_cast<std::int64_t>(pot_->bytes()));
  if (Status undone = undo.Undo(); !undone) {
    Forget();  // nobody knows what is in the pot
    return tl::make_unexpected(std::move(undone).error());
  }
  if (!result) return tl::make_unexpected(std::move(result).error());
  Answer answer{std::move(*result), std::move(passages.texts)};
  answer.tokens_prompt = more;
  answer.seconds_prompt = seconds_prompt;
  if (options.prefix.empty()) answer.text.erase(0, answer.text.find_first_not_of(" \n"));
  answer.text = options.prefix + answer.text;
  return answer;
}

Status Session::Impl::Explain(TextSource& text,
                              const std::function<void(std::string_view, float)>& on_token) const {
  if (!document_) {
    return MakeError(ErrorCode::kInvalidArgument, "there is nothing to explain: read a text first");
  }
  if (pot_->settings().policy == PotPolicy::kTruncate) {
    // What stands where is known of a text that was read as a whole.
    return MakeError(ErrorCode::kInvalidArgument,
                     "truncate keeps the beginning and the end: there is nothing to explain");
  }
  std::map<std::int64_t, int> holders;  // of each origin
  int heads = 0;
  for (const auto& layer : pot_->entries()) {
    for (const memory::HeadEntries& head : layer) {
      ++heads;
      for (const std::int32_t origin : head.origin) ++holders[origin];
    }
  }
  std::int64_t origin = pot_->prefix_tokens();
  auto next = holders.lower_bound(origin);
  engine::TokenStream tokens(text, parts().tokenizer);
  while (true) {
    ONDINE_ASSIGN(const std::vector<TokenId> piece, tokens.Next());
    if (piece.empty()) return {};
    for (const TokenId token : piece) {
      float share = 0;
      if (next != holders.end() && next->first == origin) {
        share = static_cast<float>(next->second) / static_cast<float>(heads);
        ++next;
      }
      ++origin;
      on_token(parts().tokenizer.Piece(token), share);
    }
  }
}

}  // namespace ondine
