// Text in HTML pages.
#ifndef ONDINE_SRC_BASE_HTML_H_
#define ONDINE_SRC_BASE_HTML_H_

#include <string>
#include <string_view>

namespace ondine::base {

// As the content of an element or, in quotes, the value of an attribute.
std::string EscapeHtml(std::string_view text);

}  // namespace ondine::base

#endif  // ONDINE_SRC_BASE_HTML_H_
