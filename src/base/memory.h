// Memory of this process and of the machine.
#ifndef ONDINE_SRC_BASE_MEMORY_H_
#define ONDINE_SRC_BASE_MEMORY_H_

#include <cstdint>
#include <optional>
#include <string>

namespace ondine::base {

// Bytes of physical memory that the process holds now. Pages of mapped files count while they are
// resident. Where the system does not tell (no /proc), the peak.
std::uint64_t ResidentBytes();

// The most that it has held since it began.
std::uint64_t PeakResidentBytes();

// Bytes that can still be had without swapping, within the limit of the control group (a container)
// if there is one; nullopt where the system does not tell. `root` stands before /proc and /sys, for
// tests.
std::optional<std::uint64_t> AvailableBytes(const std::string& root = "");

}  // namespace ondine::base

#endif  // ONDINE_SRC_BASE_MEMORY_H_
