// Text that never leaves the device, whatever else allows it.
#ifndef ONDINE_SRC_SERVE_PRIVATE_TEXT_H_
#define ONDINE_SRC_SERVE_PRIVATE_TEXT_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/result.h"

namespace ondine::serve {

class PrivateText {
 public:
  // Regular expressions (PCRE2, with Unicode), beside what is built in: private keys, tokens of
  // common services, payment card numbers. kInvalidArgument where one is none.
  static Result<PrivateText> Create(const std::vector<std::string>& patterns);
  PrivateText(PrivateText&&) noexcept;
  PrivateText& operator=(PrivateText&&) noexcept;
  ~PrivateText();

  // What in the text is private: "a private key", "what matches 'project \w+'"; empty: nothing.
  // Text that cannot be checked is private.
  std::string Find(std::string_view text) const;

 private:
  struct Pattern;
  PrivateText();
  Status Add(const std::string& pattern, std::string name);

  std::vector<std::unique_ptr<Pattern>> patterns_;
};

}  // namespace ondine::serve

#endif  // ONDINE_SRC_SERVE_PRIVATE_TEXT_H_
