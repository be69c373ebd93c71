// A file under construction that lies in memory.
#ifndef ONDINE_SRC_BASE_STRING_SINK_H_
#define ONDINE_SRC_BASE_STRING_SINK_H_

#include <cstddef>
#include <span>
#include <string>

#include "base/file.h"

namespace ondine::base {

class StringSink final : public FileSink {
 public:
  Status Write(std::span<const std::byte> bytes) override {
    text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace ondine::base

#endif  // ONDINE_SRC_BASE_STRING_SINK_H_
