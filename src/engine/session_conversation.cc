// Prompts that are continued, and conversations.
#include <algorithm>
#include <span>

#include "base/try.h"
#include "engine/generator.h"
#include "engine/session_impl.h"

namespace ondine {

using engine::EncodeBeginning;
using engine::EncodeFrame;
using engine::EncodeText;
using engine::Frame;
using memory::Pot;

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
    const PotSettings settings = SettingsOfPot();
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
  Result<Generation> generated = engine::Generate(parts(), *pot_, turn, options);
  if (!generated) {
    // A probe that could not be taken back has left half of it in the pot.
    if (generated.error().code == ErrorCode::kIo) Forget();
    return generated;
  }
  Generation& result = *generated;
  result.tokens_prompt = static_cast<std::int64_t>(turn.size());
  result.seconds_prompt = seconds_prompt;
  if (result.finish == FinishReason::kReplaced) {
    ONDINE_TRY(EndTurn(result.text, options.stop_token));
  }
  talking_ = true;
  return generated;
}

Status Session::Impl::AddTurn(std::string_view message, std::string_view answer,
                              std::string_view system, const StopToken& stop) {
  ONDINE_TRY(BeginTurn(message, system, stop));
  return EndTurn(answer, stop);
}

Status Session::Impl::CanChat() const {
  if (!parts().chat_template) return tl::make_unexpected(parts().chat_template_error);
  const PotSettings settings = SettingsOfPot();
  return Pot::Check(parts().decoder->spec(), settings,
                    std::ssize(EncodeText(parts(), settings.catalyst, true)));
}

}  // namespace ondine
