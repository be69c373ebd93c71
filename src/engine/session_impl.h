// The inside of a session. Its functions lie in session.cc, session_conversation.cc,
// session_reading.cc and session_file.cc.
#ifndef ONDINE_SRC_ENGINE_SESSION_IMPL_H_
#define ONDINE_SRC_ENGINE_SESSION_IMPL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/guarded.h"
#include "base/stopwatch.h"
#include "compute/thread_count.h"
#include "compute/thread_pool.h"
#include "engine/model_parts.h"
#include "engine/passages.h"
#include "engine/prompt_format.h"
#include "engine/token_stream.h"
#include "memory/pot.h"
#include "models/lora.h"
#include "ondine/session.h"

namespace ondine {

// What a session is in the middle of.
class Session::Impl {
 public:
  Impl(std::shared_ptr<const Model> model, const SessionOptions& options)
      : model_(std::move(model)), options_(options), pool_(compute::ThreadCount(options.threads)) {}

  // Calls f, which returns a Result<T> or Status. What it throws may leave the pot in any state, so
  // that it is forgotten then.
  template <typename F>
  auto Guarded(F&& f) -> decltype(f()) {
    bool finished = false;
    // Exceptions of the caller's own functions go on to the caller.
    struct Cleaner {
      Impl& impl;
      const bool& finished;
      ~Cleaner() {
        if (!finished) impl.Forget();
      }
    } cleaner{*this, finished};
    return base::Guarded([&] {
      auto done = f();
      finished = true;
      return done;
    });
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
  // Tokens that are read at once: few enough for progress several times a second.
  static constexpr std::size_t kStep = 512;

  const Model::Parts& parts() const { return model_->parts(); }
  Status MakePot(const PotSettings& settings, std::vector<TokenId> catalyst);
  // The user's settings of a pot or, without any, a pot that fits the model.
  PotSettings SettingsOfPot() const;
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
  std::unique_ptr<memory::Pot> pot_;
  std::optional<engine::Frame> document_;  // after Read(): the frame that the text stands in
  bool question_aware_ = false;
  bool talking_ = false;  // Say() has begun a conversation
  std::int64_t peak_bytes_ = 0;
};

}  // namespace ondine

#endif  // ONDINE_SRC_ENGINE_SESSION_IMPL_H_
