// Torch reports errors by exceptions. Inside train/ functions on tensors throw as torch does; the
// functions that others call are wrapped, so that for them errors are values.
#ifndef ONDINE_TRAIN_GUARD_H_
#define ONDINE_TRAIN_GUARD_H_

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "ondine/result.h"

namespace ondine::train {

// The first line of an exception's text: torch appends a stack trace.
inline std::string FirstLine(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

// Calls f, which returns a Result<T> or Status, and turns an exception into an error.
template <typename F>
auto Guarded(F f) -> decltype(f()) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return MakeError(ErrorCode::kOutOfMemory, "not enough memory for the training");
  } catch (const std::exception& error) {
    return MakeError(ErrorCode::kInternal, FirstLine(error), "torch");
  }
}

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_GUARD_H_
