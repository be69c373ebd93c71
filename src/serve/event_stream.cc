#include "serve/event_stream.h"

namespace ondine::serve {

bool EventStream::Push(std::string_view piece,
                       const std::function<bool(std::string_view)>& on_data) {
  for (const char c : piece) {
    if (ended_) return false;
    const bool pair = after_return_ && c == '\n';
    after_return_ = c == '\r';
    if (pair) continue;
    if (c == '\n' || c == '\r') {
      ended_ = !EndLine(on_data);
    } else if (line_.size() + data_.size() < kLargestEvent) {
      line_ += c;
    } else {
      ended_ = true;
    }
  }
  return !ended_;
}

bool EventStream::EndLine(const std::function<bool(std::string_view)>& on_data) {
  std::string line;
  line.swap(line_);
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (begins_ && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
  begins_ = false;
  if (line.empty()) {
    std::string data;
    data.swap(data_);
    if (!has_data_) return true;
    has_data_ = false;
    return on_data(data);
  }
  constexpr std::string_view kField = "data:";
  if (!line.starts_with(kField)) return true;
  std::string_view value = line;
  value.remove_prefix(kField.size());
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (has_data_) data_ += '\n';
  data_ += value;
  has_data_ = true;
  return true;
}

}  // namespace ondine::serve
