#include "train/training_log.h"

#include <unistd.h>

#include <cstdio>

namespace ondine::train {

Status TrainingLog::Open(const std::string& path, bool append) {
  if (path.empty()) return {};
  stream_.open(path, append ? std::ios::app : std::ios::trunc);
  if (!stream_) return MakeError(ErrorCode::kIo, "cannot be written", path);
  return {};
}

void TrainingLog::Write(const nlohmann::json& record) {
  if (stream_.is_open()) stream_ << record.dump() << std::endl;
}

Status TrainingLog::Close(const std::string& path) const {
  if (stream_) return {};
  return MakeError(ErrorCode::kIo, "is not complete: writing failed", path);
}

double ProgressLine::SecondsLeft(std::int64_t step, std::int64_t steps, double seconds) {
  if (!begin_) begin_ = step - 1;
  return seconds / static_cast<double>(step - *begin_) * static_cast<double>(steps - step);
}

void ProgressLine::Show(std::int64_t step, std::int64_t steps, double loss, double seconds,
                        const std::string& more) {
  const double left = SecondsLeft(step, steps, seconds);
  if (isatty(STDERR_FILENO) != 1) return;
  std::fprintf(stderr, "\r\033[Kstep %lld/%lld, loss %.4f, %s%.1f min left%s",
               static_cast<long long>(step), static_cast<long long>(steps), loss, more.c_str(),
               left / 60, step == steps ? "\n" : "");
}

}  // namespace ondine::train
