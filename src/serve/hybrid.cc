#include "ondine/hybrid.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/guarded.h"
#include "base/quote.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "serve/private_text.h"
#include "serve/share_budget.h"

namespace ondine {
namespace {

constexpr std::array kPrivacies = {std::pair{"never", Privacy::kNever},
                                   std::pair{"ask", Privacy::kAsk},
                                   std::pair{"allow", Privacy::kAllow}};

std::string Number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f", value);
  return text.data();
}

std::string Compared(const std::string& what, double value, double threshold) {
  return what + " " + Number(value) + (value < threshold ? " < " : " >= ") + Number(threshold);
}

}  // namespace

class HybridChat::Impl {
 public:
  Impl(Session session, std::optional<Server> server, HybridSettings settings,
       serve::PrivateText private_text)
      : session_(std::move(session)),
        server_(std::move(server)),
        settings_(std::move(settings)),
        private_text_(std::move(private_text)),
        budget_(settings_.budget) {}

  Result<HybridReply> Say(std::string_view message, const GenerationOptions& options,
                          std::string_view system) {
    decision_ = {};
    budget_.NewQuestion();
    std::optional<std::string> answer;
    const base::Timer timer;
    ONDINE_TRY(TestTask(message));
    const bool off_task = decision_.reason == HybridReason::kOffTask;
    if (off_task || settings_.privacy == Privacy::kNever) answer = AskServer(message, options);
    if (answer) {
      HybridReply reply;
      reply.text = std::move(*answer);
      reply.finish = FinishReason::kReplaced;
      reply.seconds_generate = timer.Elapsed();
      ONDINE_TRY(session_.AddTurn(message, reply.text, system, options.stop_token));
      return Decided(std::move(reply));
    }
    GenerationOptions probed = options;
    if (settings_.gate.thresholds.confidence && settings_.privacy != Privacy::kNever) {
      probed.probe_tokens = settings_.gate.probe_tokens;
      probed.on_probe = [&](const Confidence& confidence) -> std::optional<std::string> {
        decision_.confidence = confidence;
        // What could not leave as foreign cannot leave as hard either.
        if (off_task || TestConfidence(confidence)) return std::nullopt;
        return AskServer(message, options);
      };
    }
    ONDINE_ASSIGN(Generation generation, session_.Say(message, probed, system));
    return Decided({std::move(generation), {}});
  }

  const Session& session() const { return session_; }

 private:
  HybridReply Decided(HybridReply reply) {
    reply.decision = decision_;
    return reply;
  }

  void Explain(const std::string& step) {
    if (!decision_.why.empty()) decision_.why += "; ";
    decision_.why += step;
  }

  Status TestTask(std::string_view message) {
    const auto& threshold = settings_.gate.thresholds.task;
    if (!settings_.pool) return {};
    ONDINE_ASSIGN(const double task, settings_.pool->Likeness(settings_.task, message));
    decision_.task = task;
    if (!threshold) return {};
    Explain(Compared("similarity to the task", task, *threshold));
    if (task < *threshold) decision_.reason = HybridReason::kOffTask;
    return {};
  }

  // True where the model is sure enough.
  bool TestConfidence(const Confidence& confidence) {
    const Gate& gate = settings_.gate;
    const double value = SignalOf(gate.signal, confidence);
    Explain(Compared(std::string("confidence (") + GateSignalName(gate.signal) + ")", value,
                     *gate.thresholds.confidence));
    if (value >= *gate.thresholds.confidence) return true;
    decision_.reason = HybridReason::kUnsure;
    return false;
  }

  // nullopt where the device has to answer; the decision says why.
  std::optional<std::string> AskServer(std::string_view message, const GenerationOptions& options) {
    if (const auto obstacle = Obstacle(message)) {
      decision_.reason = obstacle->first;
      Explain("on the device because " + obstacle->second);
      return std::nullopt;
    }
    const ServerAnswer answer = server_->Ask(message, options.on_text, options.stop_token);
    decision_.left = answer.sent;
    if (answer.sent) budget_.Spend();
    if (!answer.failure) {
      decision_.server = true;
      Explain("sent to " + server_->address());
      return answer.text;
    }
    decision_.failure = answer.failure;
    decision_.reason = HybridReason::kServerFailed;
    Explain(std::string("on the device because the server failed (") +
            ServerFailureName(*answer.failure) + ": " + answer.detail + ")");
    // Who stops it wants no other answer.
    if (settings_.on_fallback && answer.failure != ServerFailure::kStopped) {
      settings_.on_fallback(answer);
    }
    return std::nullopt;
  }

  // Why a question that should leave may not. Consent is asked for last: only for what would go.
  std::optional<std::pair<HybridReason, std::string>> Obstacle(std::string_view message) {
    using Found = std::pair<HybridReason, std::string>;
    if (settings_.privacy == Privacy::kNever) {
      return Found{HybridReason::kPrivacy, "nothing may leave (privacy: never)"};
    }
    if (std::string found = private_text_.Find(message); !found.empty()) {
      return Found{HybridReason::kPrivateText, "the message holds " + found};
    }
    if (std::string down = server_->Down(); !down.empty()) {
      return Found{HybridReason::kServerDown, "of the server: " + down};
    }
    if (!budget_.Allows()) {
      return Found{HybridReason::kBudget,
                   "the budget of " + Number(100 * settings_.budget) + " % is used up"};
    }
    if (settings_.privacy == Privacy::kAsk &&
        !settings_.consent(std::string(message), server_->address())) {
      return Found{HybridReason::kNoConsent, "the user did not consent"};
    }
    return std::nullopt;
  }

  Session session_;
  std::optional<Server> server_;
  HybridSettings settings_;
  serve::PrivateText private_text_;
  serve::ShareBudget budget_;
  HybridDecision decision_;  // of the turn at hand
};

Result<Privacy> ParsePrivacy(std::string_view name) {
  for (const auto& [text, privacy] : kPrivacies) {
    if (text == name) return privacy;
  }
  return MakeError(ErrorCode::kInvalidArgument,
                   base::Quote(name) + " is no rule of privacy; there are never, ask, allow");
}

const char* HybridReasonName(HybridReason reason) {
  switch (reason) {
    case HybridReason::kSure: return "sure";
    case HybridReason::kOffTask: return "off task";
    case HybridReason::kUnsure: return "unsure";
    case HybridReason::kPrivacy: return "privacy";
    case HybridReason::kPrivateText: return "private text";
    case HybridReason::kNoConsent: return "no consent";
    case HybridReason::kBudget: return "budget";
    case HybridReason::kServerDown: return "server down";
    case HybridReason::kServerFailed: return "server failed";
  }
  return "";
}

Result<HybridChat> HybridChat::Create(Session session, std::optional<Server> server,
                                      HybridSettings settings) {
  const auto refuse = [](const char* why) { return MakeError(ErrorCode::kInvalidArgument, why); };
  if (!server && settings.privacy != Privacy::kNever) return refuse("there is no server to ask");
  if (settings.privacy == Privacy::kAsk && !settings.consent) {
    return refuse("privacy `ask` needs somebody to ask for consent");
  }
  if (!(settings.budget >= 0 && settings.budget <= 1)) {
    return refuse("a budget is a share from 0 to 1");
  }
  if ((settings.pool != nullptr) == settings.task.empty()) {
    return refuse("a pool and the user's task belong together");
  }
  if (settings.gate.probe_tokens < 1) return refuse("a gate needs a token to judge by");
  // Not only when a message has left and its answer has come.
  ONDINE_TRY(session.CanChat());
  return base::Guarded([&]() -> Result<HybridChat> {
    ONDINE_ASSIGN(auto private_text, serve::PrivateText::Create(settings.private_patterns));
    return HybridChat(std::make_unique<Impl>(std::move(session), std::move(server),
                                             std::move(settings), std::move(private_text)));
  });
}

HybridChat::HybridChat(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HybridChat::HybridChat(HybridChat&&) noexcept = default;
HybridChat& HybridChat::operator=(HybridChat&&) noexcept = default;
HybridChat::~HybridChat() = default;

Result<HybridReply> HybridChat::Say(std::string_view message, const GenerationOptions& options,
                                    std::string_view system) {
  return base::Guarded([&] { return impl_->Say(message, options, system); });
}

const Session& HybridChat::session() const {
  return impl_->session();
}

}  // namespace ondine
