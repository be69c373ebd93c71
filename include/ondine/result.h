// Errors are values: every fallible function of the library returns Result<T> or Status.
// No exception crosses the API but those of the caller's own callbacks and, from the few functions
// that return neither, std::bad_alloc. The library never prints, exits or aborts on input.
#ifndef ONDINE_RESULT_H_
#define ONDINE_RESULT_H_

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace ondine {

enum class ErrorCode {
  kInvalidArgument,  // the caller asked for something that makes no sense
  kNotFound,         // a file, tensor, key or token that is not there
  kCorrupt,          // a file whose content contradicts itself or is cut off
  kUnsupported,      // well-formed, but not something this version can do
  kMismatch,         // two files that do not belong together
  kIo,               // the operating system refused to read or write
  kOutOfMemory,      // the budget, or the machine, has no room
  kCancelled,        // the caller's stop token was set
  kInternal,         // a broken invariant: please report it
};

// Name of a code in lower case, for logs and tests ("corrupt").
const char* ErrorCodeName(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // what went wrong and what to do about it, one line
  std::string context;  // where: a file, tensor or option; may be empty

  // "context: message", the form in which the program prints it.
  std::string ToString() const;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> MakeError(ErrorCode code, std::string message,
                                       std::string context = "") {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(context)});
}

}  // namespace ondine

#endif  // ONDINE_RESULT_H_
