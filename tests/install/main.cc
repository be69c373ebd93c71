// Compiles against the installed headers alone and runs code of the installed library.
#include <cstdio>
#include <string>

#include "ondine/result.h"

namespace {

ondine::Result<int> Half(int value) {
  if (value % 2 != 0) {
    return ondine::MakeError(ondine::ErrorCode::kInvalidArgument, "odd", "value");
  }
  return value / 2;
}

}  // namespace

int main() {
  if (Half(8).value_or(0) != 4) return 1;
  const ondine::Result<int> odd = Half(7);
  if (odd || odd.error().ToString() != "value: odd") return 1;
  std::puts(ondine::ErrorCodeName(odd.error().code));
  return 0;
}
