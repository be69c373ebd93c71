// Where a server is.
#ifndef ONDINE_SRC_SERVE_HTTP_ADDRESS_H_
#define ONDINE_SRC_SERVE_HTTP_ADDRESS_H_

#include <string>
#include <string_view>

#include "ondine/result.h"

namespace ondine::serve {

struct HttpAddress {
  bool encrypted = false;  // https
  std::string host;        // name or address, without the brackets of IPv6
  int port = 0;
  std::string path;  // "/v1"; empty or with a leading and no trailing slash

  // "https://host:port/v1", as it is shown to people.
  std::string ToString() const;
};

// "http://host", "https://host:8443/v1/". kInvalidArgument for anything else: other schemes, user
// names and passwords (they would end up in logs), queries, blanks and control characters.
Result<HttpAddress> ParseHttpAddress(std::string_view url);

}  // namespace ondine::serve

#endif  // ONDINE_SRC_SERVE_HTTP_ADDRESS_H_
