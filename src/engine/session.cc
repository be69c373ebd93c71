#include "ondine/session.h"

#include <algorithm>
#include <deque>
#include <map>

#include "base/guarded.h"
#include "base/quote.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "compute/thread_count.h"
#include "engine/adapter_parts.h"
#include "engine/generator.h"
#include "engine/model_parts.h"
#include "engine/passages.h"
#include "engine/pot_undo.h"
#include "engine/prompt_format.h"
#include "engine/token_stream.h"
#include "formats/pot_file.h"
#include "memory/pot.h"
#include "memory/pot_io.h"

namespace ondine {

using engine::EncodeBeginning;
using engine::EncodeFrame;
using engine::EncodeText;
using engine::Frame;
using memory::Pot;

// What a session is in the middle of.
class Session::Impl {
 public:
  Impl(std::shared_ptr<const Model> model, const SessionOptions& options)
      : model_(std::move(model)), options_(options), pool_(compute::ThreadCount(options.threads)) {}

  // Calls f, which returns a Result<T> or Status. Memory that runs out may leave the pot in any
  // state, so that it is forgotten then.
  template <typename F>
  auto Guarded(F&& f) -> decltype(f()) {
    bool finished = false;
    auto result = base::Guarded([&] {
      auto done = f();
      finished = true;
      return done;
    });
    if (!finished) Forget();
    return result;
  }

  Result<Generation> Complete(std::string_view prompt, const GenerationOptions& options, bool chat);
  Result<Generation> Say(std::string_view message, const GenerationOptions& options,
                         std::string_view system);
  void Forget();
  Status AddTurn(std::string_view message, std::string_view answer, std::string_view system,
                 const StopToken& stop);
  Status CanChat() const;
  Status Read(TextSource& text, const ReadOptions& options);
  Result<Answer> Ask(std::string_view question, const AskOptions& options);
  Status SetAdapters(std::vector<ScaledAdapter> adapters);
  Status Save(const std::string& path) const;
  Status Load(const std::string& path);
  Status Explain(TextSource& text,
                 const std::function<void(std::string_view, float)>& on_token) const;
  SessionReport report() const;

 private:
  const Model::Parts& parts() const { return model_->parts(); }
  Status MakePot(const PotSettings& settings, std::vector<TokenId> catalyst);
  // Settings for a text of `tokens`: the user's, or a cache for the whole where that is possible.
  PotSettings SettingsFor(std::int64_t tokens) const;
  Status ReadStream(engine::TokenStream& tokens, const ReadOptions& options);
  Status ReadEnds(engine::TokenStream& tokens, const ReadOptions& options);
  void ReportProgress(const engine::TokenStream& tokens, const base::Timer& timer,
                      const ReadOptions& options) const;
  engine::Passages PassagesFor(std::string_view question, const AskOptions& options) const;
  Status FeedQuestion(const std::vector<TokenId>& question, const StopToken& stop);
  Result<std::vector<TokenId>> BeginTurn(std::string_view message, std::string_view system,
                                         const StopToken& stop);
  Status EndTurn(std::string_view answer, const StopToken& stop);

  std::shared_ptr<const Model> model_;
  SessionOptions options_;
  compute::ThreadPool pool_;
  std::shared_ptr<const models::Lora> lora_;  // the adapters of the options; may be null
  std::unique_ptr<Pot> pot_;
  std::optional<Frame> document_;  // after Read(): the frame that the text stands in
  bool question_aware_ = false;
  bool talking_ = false;  // Say() has begun a conversation
  std::int64_t peak_bytes_ = 0;
};

namespace {

// Of the pot: what `truncate` leaves free for question and answer where nobody says how much.
constexpr std::int64_t kTruncateReserveShare = 4;

// Tokens that are read at once: few enough for progress several times a second.
constexpr std::size_t kStep = 512;

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

Status Session::Impl::MakePot(const PotSettings& settings, std::vector<TokenId> catalyst) {
  Forget();  // first, so that two are never there at once
  ONDINE_ASSIGN(pot_, Pot::Create(parts().decoder, pool_, settings, std::move(catalyst),
                                  parts().sentence_ends, lora_));
  return {};
}

void Session::Impl::Forget() {
  pot_.reset();
  document_.reset();
  talking_ = false;
  question_aware_ = false;
}

Status Session::Impl::SetAdapters(std::vector<ScaledAdapter> adapters) {
  ONDINE_ASSIGN(auto lora, engine::Combine(adapters, *parts().decoder, pool_));
  if (engine::Identity(adapters) != engine::Identity(options_.adapters)) Forget();
  lora_ = std::move(lora);
  options_.adapters = std::move(adapters);
  return {};
}

PotSettings Session::Impl::SettingsFor(std::int64_t tokens) const {
  if (options_.pot) return *options_.pot;
  PotSettings settings;
  if (tokens > model_->info().trained_context) return settings;
  settings.policy = PotPolicy::kFull;
  settings.slots = tokens;
  return settings;
}

Result<Generation> Session::Impl::Complete(std::string_view prompt,
                                           const GenerationOptions& options, bool chat) {
  ONDINE_TRY(engine::CheckGeneration(options));
  std::vector<TokenId> tokens;
  if (chat) {
    if (!parts().chat_template) return tl::make_unexpected(parts().chat_template_error);
    ONDINE_ASSIGN(const Frame frame, engine::FirstMessage(parts(), "", true));
    tokens = EncodeBeginning(parts(), frame);
    for (const auto& part :
         {EncodeText(parts(), prompt, true), EncodeFrame(parts(), frame.behind, false)}) {
      tokens.insert(tokens.end(), part.begin(), part.end());
    }
  } else {
    tokens = model_->Tokenize(prompt);
  }
  if (tokens.empty()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "the prompt is empty and this model has no token to begin with");
  }
  const PotSettings settings =
      SettingsFor(static_cast<std::int64_t>(tokens.size()) + options.max_tokens);
  ONDINE_TRY(MakePot(settings, EncodeText(parts(), settings.catalyst, true)));
  double seconds_prompt = 0;
  {
    const base::Stopwatch watch(seconds_prompt);
    ONDINE_TRY(pot_->Feed(tokens, Pot::Part::kText, options.stop_token));
    ONDINE_TRY(pot_->Flush(options.stop_token));
  }
  ONDINE_ASSIGN(Generation result, engine::Generate(parts(), *pot_, tokens, options));
  result.tokens_prompt = static_cast<std::int64_t>(tokens.size());
  result.seconds_prompt = seconds_prompt;
  return result;
}

// Reads the user's message of a turn, up to where the assistant begins to speak.
Result<std::vector<TokenId>> Session::Impl::BeginTurn(std::string_view message,
                                                      std::string_view system,
                                                      const StopToken& stop) {
  const bool first = !talking_;
  if (first) ONDINE_TRY(CanChat());
  Frame frame;
  if (first) {
    ONDINE_ASSIGN(frame, engine::FirstMessage(parts(), system, true));
    const PotSettings settings = options_.pot.value_or(PotSettings());
    ONDINE_TRY(MakePot(settings, EncodeText(parts(), settings.catalyst, true)));
    ONDINE_TRY(pot_->Feed(EncodeBeginning(parts(), frame), Pot::Part::kPrefix, stop));
  } else {
    ONDINE_ASSIGN(frame, engine::NextMessage(parts()));
    pot_->ReleaseQuestion();
  }
  std::vector<TokenId> turn;
  if (!first) turn = EncodeFrame(parts(), frame.before, false);
  for (const auto& part :
       {EncodeText(parts(), message, true), EncodeFrame(parts(), frame.behind, false)}) {
    turn.insert(turn.end(), part.begin(), part.end());
  }
  const bool undoable = !first && pot_->CanRewind(static_cast<std::int64_t>(turn.size()));
  const Pot::Mark mark = pot_->SetMark();
  if (Status read = FeedQuestion(turn, stop); !read) {
    if (undoable) {
      pot_->Rewind(mark);
    } else {
      Forget();
    }
    return tl::make_unexpected(std::move(read).error());
  }
  return turn;
}

// What the assistant said, where it did not come from this model.
Status Session::Impl::EndTurn(std::string_view answer, const StopToken& stop) {
  talking_ = true;
  const std::vector<TokenId> tokens = EncodeText(parts(), answer, true);
  for (std::size_t i = 0; i < tokens.size() && !stop.Stopped(); i += kStep) {
    ONDINE_TRY(pot_->Feed(std::span(tokens).subspan(i, std::min(kStep, tokens.size() - i)),
                          Pot::Part::kText, StopToken()));
  }
  ONDINE_TRY(pot_->Flush(StopToken()));
  return {};
}

Result<Generation> Session::Impl::Say(std::string_view message, const GenerationOptions& options,
                                      std::string_view system) {
  ONDINE_TRY(engine::CheckGeneration(options));
  double seconds_prompt = 0;
  std::vector<TokenId> turn;
  {
    const base::Stopwatch watch(seconds_prompt);
    ONDINE_ASSIGN(turn, BeginTurn(message, system, options.stop_token));
  }
  ONDINE_ASSIGN(Generation result, engine::Generate(parts(), *pot_, turn, options));
  result.tokens_prompt = static_cast<std::int64_t>(turn.size());
  result.seconds_prompt = seconds_prompt;
  if (result.finish == FinishReason::kReplaced) {
    ONDINE_TRY(EndTurn(result.text, options.stop_token));
  }
  talking_ = true;
  return result;
}

Status Session::Impl::AddTurn(std::string_view message, std::string_view answer,
                              std::string_view system, const StopToken& stop) {
  ONDINE_TRY(BeginTurn(message, system, stop));
  return EndTurn(answer, stop);
}

Status Session::Impl::CanChat() const {
  if (!parts().chat_template) return tl::make_unexpected(parts().chat_template_error);
  const PotSettings settings = options_.pot.value_or(PotSettings());
  return Pot::Check(parts().decoder->spec(), settings,
                    std::ssize(EncodeText(parts(), settings.catalyst, true)));
}

Status Session::Impl::Read(TextSource& text, const ReadOptions& options) {
  const bool aware = !options.question.empty();
  PotSettings settings = ForText(options_.pot.value_or(PotSettings()), aware);
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
  ONDINE_TRY(undo.Undo());
  if (!result) return tl::make_unexpected(std::move(result).error());
  Answer answer{std::move(*result), std::move(passages.texts)};
  answer.tokens_prompt = more;
  answer.seconds_prompt = seconds_prompt;
  if (options.prefix.empty()) answer.text.erase(0, answer.text.find_first_not_of(" \n"));
  answer.text = options.prefix + answer.text;
  return answer;
}

Status Session::Impl::Save(const std::string& path) const {
  if (!document_) {
    return MakeError(ErrorCode::kInvalidArgument, "there is nothing to save: read a text first");
  }
  formats::PotFileWriter file;
  file.Set("model.fingerprint", parts().fingerprint);
  file.Set("model.name", model_->info().name);
  file.Set("model.architecture", model_->info().architecture);
  if (const std::string adapters = engine::Identity(options_.adapters); !adapters.empty()) {
    file.Set("model.adapters", adapters);
  }
  file.Set("text.before", document_->before);
  file.Set("text.behind", document_->behind);
  file.Set("text.question_aware", question_aware_);
  memory::PotIo::Describe(*pot_, file);
  return file.Write(path);
}

Status Session::Impl::Load(const std::string& path) {
  ONDINE_ASSIGN(const formats::PotFile file, formats::PotFile::Open(path));
  ONDINE_TRY(file.Expect("model.architecture", model_->info().architecture));
  ONDINE_ASSIGN(const std::string fingerprint, file.GetString("model.fingerprint"));
  if (fingerprint != parts().fingerprint) {
    ONDINE_ASSIGN(const std::string name, file.GetString("model.name"));
    const auto describe = [](const std::string& of, const std::string& print) {
      return base::Quote(of) + " (" + print.substr(0, 8) + ")";
    };
    return MakeError(ErrorCode::kMismatch,
                     "was read by another model, " + describe(name, fingerprint) + ", than " +
                         describe(model_->info().name, parts().fingerprint) +
                         ": load that one with -m, or read the text again",
                     path);
  }
  // Pots that were read without adapters have no such value.
  const std::string adapters = engine::Identity(options_.adapters);
  if (file.values().contains("model.adapters")) {
    ONDINE_TRY(file.Expect("model.adapters", adapters));
  } else if (!adapters.empty()) {
    return MakeError(ErrorCode::kMismatch, "the pot was read without adapters", path);
  }
  Frame frame;
  ONDINE_ASSIGN(frame.before, file.GetString("text.before"));
  ONDINE_ASSIGN(frame.behind, file.GetString("text.behind"));
  ONDINE_ASSIGN(const bool aware, file.GetBool("text.question_aware"));
  ONDINE_ASSIGN(const PotSettings settings, memory::PotIo::ReadSettings(file));
  ONDINE_ASSIGN(auto catalyst, memory::PotIo::ReadCatalyst(file, model_->info().vocabulary));
  if (Status made = MakePot(settings, std::move(catalyst)); !made) {
    Error error = std::move(made).error();
    // Settings that contradict each other are the file's fault here.
    if (error.code == ErrorCode::kInvalidArgument) error.code = ErrorCode::kCorrupt;
    error.context = path;
    return tl::make_unexpected(std::move(error));
  }
  ONDINE_TRY(memory::PotIo::Restore(file, *pot_));
  document_ = std::move(frame);
  question_aware_ = aware;
  return {};
}

Status Session::Impl::Explain(TextSource& text,
                              const std::function<void(std::string_view, float)>& on_token) const {
  if (!document_) {
    return MakeError(ErrorCode::kInvalidArgument, "there is nothing to explain: read a text first");
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

SessionReport Session::Impl::report() const {
  SessionReport report;
  if (!pot_) return report;
  const memory::PotCounters& counters = pot_->counters();
  report.tokens = counters.tokens;
  report.slots = pot_->capacity();
  report.bounded = pot_->settings().policy != PotPolicy::kFull;
  report.entries = pot_->length();
  report.peak_entries = counters.peak_entries;
  report.peak_bytes = std::max(peak_bytes_, static_cast<std::int64_t>(pot_->bytes()));
  report.distillations = counters.distillations;
  report.policy = PotPolicyName(pot_->settings().policy);
  report.question_aware = question_aware_;
  report.seconds_model = counters.seconds_model;
  report.seconds_surprise = counters.seconds_surprise;
  report.seconds_catalyst = counters.seconds_catalyst;
  report.seconds_selection = counters.seconds_selection;
  report.seconds_consolidation = counters.seconds_consolidation;
  return report;
}

Result<Session> Session::Create(std::shared_ptr<const Model> model, const SessionOptions& options) {
  if (model == nullptr) return MakeError(ErrorCode::kInvalidArgument, "a session needs a model");
  return base::Guarded([&]() -> Result<Session> {
    auto impl = std::make_unique<Impl>(std::move(model), options);
    ONDINE_TRY(impl->SetAdapters(options.adapters));
    return Session(std::move(impl));
  });
}

Result<Session> Session::Load(std::shared_ptr<const Model> model, const std::string& path,
                              const SessionOptions& options) {
  ONDINE_ASSIGN(Session session, Create(std::move(model), options));
  ONDINE_TRY(session.impl_->Guarded([&] { return session.impl_->Load(path); }));
  return session;
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Generation> Session::Complete(std::string_view prompt, const GenerationOptions& options,
                                     bool chat) {
  return impl_->Guarded([&] { return impl_->Complete(prompt, options, chat); });
}
Result<Generation> Session::Say(std::string_view message, const GenerationOptions& options,
                                std::string_view system) {
  return impl_->Guarded([&] { return impl_->Say(message, options, system); });
}
void Session::Forget() {
  impl_->Forget();
}
Status Session::CanChat() const {
  return impl_->CanChat();
}
Status Session::AddTurn(std::string_view message, std::string_view answer, std::string_view system,
                        const StopToken& stop_token) {
  return impl_->Guarded([&] { return impl_->AddTurn(message, answer, system, stop_token); });
}
Status Session::Read(TextSource& text, const ReadOptions& options) {
  return impl_->Guarded([&] { return impl_->Read(text, options); });
}
Result<Answer> Session::Ask(std::string_view question, const AskOptions& options) {
  return impl_->Guarded([&] { return impl_->Ask(question, options); });
}
Status Session::SetAdapters(std::vector<ScaledAdapter> adapters) {
  return impl_->Guarded([&] { return impl_->SetAdapters(std::move(adapters)); });
}
Status Session::Save(const std::string& path) const {
  return base::Guarded([&] { return impl_->Save(path); });
}
Status Session::Explain(TextSource& text,
                        const std::function<void(std::string_view, float)>& on_token) const {
  return base::Guarded([&] { return impl_->Explain(text, on_token); });
}
SessionReport Session::report() const {
  return impl_->report();
}

}  // namespace ondine
