// Memory that is not there as an error value: the standard library throws, the API does not.
#ifndef ONDINE_SRC_BASE_GUARDED_H_
#define ONDINE_SRC_BASE_GUARDED_H_

#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

#include "ondine/result.h"

namespace ondine::base {

// Calls f, which returns a Result<T> or Status. Where it needs more memory than there is, or than a
// container may have: kOutOfMemory with this message.
template <typename F>
auto Guarded(F&& f, std::string_view message = "there is not enough memory",
             std::string_view context = "") -> decltype(f()) {
  const auto failed = [&] {
    return MakeError(ErrorCode::kOutOfMemory, std::string(message), std::string(context));
  };
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return failed();
  } catch (const std::length_error&) {
    return failed();
  }
}

}  // namespace ondine::base

#endif  // ONDINE_SRC_BASE_GUARDED_H_
