// A pot's state on its way to a file and back.
#ifndef ONDINE_SRC_MEMORY_POT_IO_H_
#define ONDINE_SRC_MEMORY_POT_IO_H_

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "formats/pot_file.h"
#include "memory/pot.h"
#include "ondine/result.h"

namespace ondine::memory {

// Friend of Pot: knows its parts.
class PotIo {
 public:
  // Sets settings, counters and state of a flushed pot and adds its sections. The pot must live
  // until the file is written.
  static void Describe(const Pot& pot, formats::PotFileWriter& file);
  // Settings and catalyst of a saved pot; unknown names and values out of range are kCorrupt.
  static Result<PotSettings> ReadSettings(const formats::PotFile& file);
  static Result<std::vector<TokenId>> ReadCatalyst(const formats::PotFile& file,
                                                   std::int64_t vocabulary);
  // Fills a pot made with these settings.
  static Status Restore(const formats::PotFile& file, Pot& pot);
};

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

#endif  // ONDINE_SRC_MEMORY_POT_IO_H_
