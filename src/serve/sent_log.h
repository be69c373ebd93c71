// Notes what leaves the device.
#ifndef ONDINE_SRC_SERVE_SENT_LOG_H_
#define ONDINE_SRC_SERVE_SENT_LOG_H_

#include <string>
#include <string_view>

#include "ondine/result.h"

namespace ondine::serve {

// JSON lines, appended: {"time": "2026-01-31T12:00:00Z", "event": "sending", "server":
// "http://...", "text": "..."} before a text leaves, {"time", "event": "answered" or "failed",
// "server", "detail"} after. A new file is readable by its owner alone, since it holds what people
// asked.
class SentLog {
 public:
  // Empty: notes nothing.
  explicit SentLog(std::string path) : path_(std::move(path)) {}
  // Written and synced, or an error: kIo, kNotFound.
  Status Note(std::string_view event, std::string_view server, std::string_view key,
              std::string_view value) const;

 private:
  std::string path_;
};

}  // namespace ondine::serve

#endif  // ONDINE_SRC_SERVE_SENT_LOG_H_
