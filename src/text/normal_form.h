// The form in which CLIP's tokenizer reads a text, with a way back to the text.
#ifndef ONDINE_SRC_TEXT_NORMAL_FORM_H_
#define ONDINE_SRC_TEXT_NORMAL_FORM_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ondine::text {

// Composed characters (Unicode's NFC), lower case, each run of white space one space, and none at
// the ends. Bytes that are not UTF-8 become U+FFFD.
struct NormalForm {
  struct Origin {
    std::size_t begin, end;  // bytes of the original text
  };
  std::string text;
  std::vector<Origin> origins;  // of each byte of `text`
};

NormalForm Normalize(std::string_view text);

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_NORMAL_FORM_H_
