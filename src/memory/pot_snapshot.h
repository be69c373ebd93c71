// A pot set aside and put back.
#ifndef ONDINE_SRC_MEMORY_POT_SNAPSHOT_H_
#define ONDINE_SRC_MEMORY_POT_SNAPSHOT_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <utility>

#include "memory/pot.h"
#include "ondine/result.h"

namespace ondine::memory {

// A copy of a pot's state in a temporary file without a name: what is asked of a pot may distil it,
// and a copy in memory would break the promise of fixed memory.
class PotSnapshot {
 public:
  // Errors: kIo where no temporary file can be made or written, in the folder that TMPDIR names or
  // else in /var/tmp.
  static Result<PotSnapshot> Take(const Pot& pot);
  Status Restore(Pot& pot) const;

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  explicit PotSnapshot(std::unique_ptr<std::FILE, Close> file, Pot::Mark mark,
                       std::int64_t local_length)
      : file_(std::move(file)), mark_(std::move(mark)), local_length_(local_length) {}

  std::unique_ptr<std::FILE, Close> file_;
  Pot::Mark mark_;
  std::int64_t local_length_;
};

}  // namespace ondine::memory

#endif  // ONDINE_SRC_MEMORY_POT_SNAPSHOT_H_
