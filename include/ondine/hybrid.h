// A conversation that is answered on the device where it can be, and by a server model where it has
// to be and may be. Crayon (Bang, Lee, Shim, Yang, Chang, ACL 2024, arXiv 2406.07007).
#ifndef ONDINE_HYBRID_H_
#define ONDINE_HYBRID_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/adapter_pool.h"
#include "ondine/gate.h"
#include "ondine/server.h"
#include "ondine/session.h"

namespace ondine {

// Whether a question may leave the device.
enum class Privacy {
  kNever,  // no connection is opened
  kAsk,    // each text is shown and leaves only with consent
  kAllow,
};
Result<Privacy> ParsePrivacy(std::string_view name);  // "never", "ask", "allow"

struct HybridSettings {
  Privacy privacy = Privacy::kAsk;
  double budget = 0.2;  // share of the questions that may leave, 0 to 1; the first one may always
  Gate gate = {};
  // The user's task, for the test whether a question is of it: both or none.
  std::shared_ptr<const AdapterPool> pool = nullptr;
  std::vector<float> task = {};  // AdapterPool::TaskOf
  // Questions that match one of these regular expressions (PCRE2) never leave.
  std::vector<std::string> private_patterns = {};
  // Is shown the exact text and the server's address; needed with Privacy::kAsk.
  std::function<bool(const std::string& text, const std::string& address)> consent = nullptr;
  // Is told at once where the server fails, before the device answers instead. What of the server's
  // answer had come (`failed.text`) has been given out.
  std::function<void(const ServerAnswer& failed)> on_fallback = nullptr;
};

enum class HybridReason {
  kSure,          // of the task, and the model is sure
  kOffTask,       // not of the task
  kUnsure,        // the model is unsure
  kPrivacy,       // nothing may leave, so confidence was not tested
  kPrivateText,   // should leave, but holds something private
  kNoConsent,     // should leave, but the user said no
  kBudget,        // should leave, but too many have
  kServerDown,    // should leave, but the server failed a moment ago
  kServerFailed,  // has left or should have, and the server failed
};
const char* HybridReasonName(HybridReason reason);  // "sure", "off task", ...

// What is decided of a question, and why.
struct HybridDecision {
  bool server = false;  // answered there
  HybridReason reason = HybridReason::kSure;
  std::string why;                       // one sentence, with the numbers
  std::optional<double> task;            // similarity, where it is tested
  std::optional<Confidence> confidence;  // absent where the device did not begin to answer
  std::optional<ServerFailure> failure;
  bool left = false;  // the text may have left the device
};

struct HybridReply : Generation {
  HybridDecision decision;
};

// Belongs to one thread at a time.
class HybridChat {
 public:
  // Errors: kInvalidArgument (no consent to ask for, a pattern or budget that is none, a pool
  // without a task), those of Session::CanChat(). The server may be left out with Privacy::kNever.
  static Result<HybridChat> Create(Session session, std::optional<Server> server,
                                   HybridSettings settings);
  HybridChat(HybridChat&&) noexcept;
  HybridChat& operator=(HybridChat&&) noexcept;
  ~HybridChat();

  // One turn of the conversation, as Session::Say(). Only the message itself can leave, nothing
  // that was said before. The device's answer is held back until it is decided whether it counts.
  Result<HybridReply> Say(std::string_view message, const GenerationOptions& options,
                          std::string_view system = "");
  const Session& session() const;

 private:
  class Impl;
  explicit HybridChat(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ondine

#endif  // ONDINE_HYBRID_H_
