#include "serve/http_address.h"

#include <algorithm>
#include <charconv>

#include "base/quote.h"

namespace ondine::serve {
namespace {

tl::unexpected<Error> NoAddress(std::string_view url, const std::string& why) {
  return MakeError(ErrorCode::kInvalidArgument, base::Quote(url) +
                                                    " is no address of a server: " + why +
                                                    "; it looks like http://127.0.0.1:8080/v1");
}

bool IsPlain(char c) {
  return c > ' ' && c < 127 && c != '"' && c != '<' && c != '>' && c != '\\';
}

}  // namespace

std::string HttpAddress::ToString() const {
  const bool usual = port == (encrypted ? 443 : 80);
  std::string url = encrypted ? "https://" : "http://";
  const bool bare = host.find(':') == std::string::npos;
  url.append(bare ? "" : "[").append(host).append(bare ? "" : "]");
  if (!usual) url.append(":").append(std::to_string(port));
  return url + path;
}

Result<HttpAddress> ParseHttpAddress(std::string_view url) {
  if (!std::all_of(url.begin(), url.end(), IsPlain)) {
    return NoAddress(url, "it holds characters that do not belong there");
  }
  HttpAddress address;
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    address.encrypted = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return NoAddress(url, "it begins with neither http:// nor https://");
  }
  if (rest.find_first_of("?#") != std::string_view::npos) {
    return NoAddress(url, "it has a query");
  }
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  std::string_view path = rest.substr(slash);
  std::string_view place = rest.substr(0, slash);
  while (path.ends_with('/')) path.remove_suffix(1);
  address.path = path;
  if (place.find('@') != std::string_view::npos) {
    return NoAddress(url, "a user name does not belong there");
  }

  std::string_view port;
  if (place.starts_with('[')) {
    const std::size_t end = place.find(']');
    if (end == std::string_view::npos) return NoAddress(url, "a bracket is not closed");
    address.host = place.substr(1, end - 1);
    port = place.substr(end + 1);
  } else {
    const std::size_t colon = std::min(place.find(':'), place.size());
    address.host = place.substr(0, colon);
    port = place.substr(colon);
  }
  if (address.host.empty()) return NoAddress(url, "there is no host");
  if (address.host.find_first_of("[]") != std::string::npos) {
    return NoAddress(url, "a bracket stands where none belongs");
  }
  address.port = address.encrypted ? 443 : 80;
  if (!port.empty()) {
    const char* end = port.data() + port.size();
    const auto [stop, error] = std::from_chars(port.data() + 1, end, address.port);
    if (port.front() != ':' || error != std::errc() || stop != end || address.port < 1 ||
        address.port > 65535) {
      return NoAddress(url, "its port is no number from 1 to 65535");
    }
  }
  return address;
}

}  // namespace ondine::serve
