// Server-sent events (WHATWG HTML, section 9.2), taken apart as they arrive.
#ifndef ONDINE_SRC_SERVE_EVENT_STREAM_H_
#define ONDINE_SRC_SERVE_EVENT_STREAM_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace ondine::serve {

class EventStream {
 public:
  // No event of a chat comes near it.
  static constexpr std::size_t kLargestEvent = std::size_t{1} << 20;  // bytes

  // Calls `on_data` with the data of each event that `piece` completes; events without data and
  // other fields are passed over. False, from then on, where an event grows too large or `on_data`
  // returned false.
  bool Push(std::string_view piece, const std::function<bool(std::string_view data)>& on_data);

 private:
  bool EndLine(const std::function<bool(std::string_view)>& on_data);

  std::string line_;
  std::string data_;
  bool has_data_ = false;
  bool begins_ = true;         // where a byte order mark may stand
  bool after_return_ = false;  // a line feed that follows belongs to the line that has ended
  bool ended_ = false;
};

}  // namespace ondine::serve

#endif  // ONDINE_SRC_SERVE_EVENT_STREAM_H_
