#include "base/memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <string_view>

namespace ondine::base {
namespace {

// The number behind `name` in lines such as "VmHWM:   1234 kB" or "inactive_file 1234".
std::optional<std::uint64_t> FindNumber(const std::string& file, std::string_view name) {
  std::ifstream in(file);
  for (std::string word; in >> word;) {
    std::uint64_t number = 0;
    if (word == name && in >> number) return number;
    in.clear();
    in.ignore(1 << 12, '\n');
  }
  return std::nullopt;
}

// The number that a file consists of; nullopt for "max" or no such file.
std::optional<std::uint64_t> ReadNumber(const std::string& file) {
  std::ifstream in(file);
  std::uint64_t number = 0;
  if (in >> number) return number;
  return std::nullopt;
}

std::optional<std::uint64_t> KiloBytes(const std::string& file, std::string_view name) {
  const auto number = FindNumber(file, name);
  return number ? std::optional(*number * 1024) : std::nullopt;
}

// Where one generation of control groups keeps its figures.
struct GroupFiles {
  const char* mount;
  const char* limit;
  const char* usage;
  const char* reclaimable;  // line of memory.stat: page cache that counts as usage but can be freed
};
constexpr GroupFiles kVersion1 = {"sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                  "memory.usage_in_bytes", "total_inactive_file"};
constexpr GroupFiles kVersion2 = {"sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"};

// What the groups from `group` up to the root leave, at most `available`. In a container the path
// may be the host's, which is not there; the mount's root then is the container's own group.
// (Texts, since libstdc++'s paths crash where there is no memory for one.)
std::uint64_t WithinGroups(const std::string& root, const GroupFiles& files, std::string group,
                           std::uint64_t available) {
  while (group.ends_with('/')) group.pop_back();
  while (true) {
    std::string folder = root;
    folder.append(files.mount).append(group).append("/");
    const auto limit = ReadNumber(folder + files.limit);
    const auto usage = ReadNumber(folder + files.usage);
    if (limit && usage) {
      const std::uint64_t cache = FindNumber(folder + "memory.stat", files.reclaimable).value_or(0);
      const std::uint64_t used = *usage - std::min(*usage, cache);
      available = std::min(available, *limit - std::min(*limit, used));
    }
    const std::size_t end = group.rfind('/');
    if (end == std::string::npos) return available;
    group.erase(end);
  }
}

}  // namespace

std::uint64_t ResidentBytes() {
  const auto bytes = KiloBytes("/proc/self/status", "VmRSS:");
  return bytes ? *bytes : PeakResidentBytes();
}

std::uint64_t PeakResidentBytes() {
  // getrusage() would also count what the process was before exec(), such as a large parent.
  if (const auto bytes = KiloBytes("/proc/self/status", "VmHWM:")) return *bytes;
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#ifdef __APPLE__
  return static_cast<std::uint64_t>(usage.ru_maxrss);
#else
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
#endif
}

std::optional<std::uint64_t> AvailableBytes(const std::string& root) {
  const std::string base = root + "/";
  auto available = KiloBytes(base + "proc/meminfo", "MemAvailable:");
  if (!available) return std::nullopt;
  // Lines such as "0::/user.slice" (version 2) and "4:memory:/docker/ab12" (version 1).
  std::ifstream groups(base + "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) available = WithinGroups(base, kVersion2, path, *available);
    if (controllers == "memory") available = WithinGroups(base, kVersion1, path, *available);
  }
  return available;
}

}  // namespace ondine::base
