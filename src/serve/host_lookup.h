// Addresses of a host's name, within a limit of time.
#ifndef ONDINE_SRC_SERVE_HOST_LOOKUP_H_
#define ONDINE_SRC_SERVE_HOST_LOOKUP_H_

#include <string>
#include <vector>

#include "ondine/progress.h"

namespace ondine::serve {

// Numeric addresses in the order in which they should be tried, at most four; none where there is
// no such name, or it takes longer than `seconds`, or it is stopped.
std::vector<std::string> LookUpHost(const std::string& host, double seconds, const StopToken& stop);

}  // namespace ondine::serve

#endif  // ONDINE_SRC_SERVE_HOST_LOOKUP_H_
