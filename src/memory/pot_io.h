// A pot's state on its way to a file and back.
#ifndef ONDINE_SRC_MEMORY_POT_IO_H_
#define ONDINE_SRC_MEMORY_POT_IO_H_

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

}  // namespace ondine::memory

#endif  // ONDINE_SRC_MEMORY_POT_IO_H_
