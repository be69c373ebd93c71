// Undoes what a pot reads from a certain point on.
#ifndef ONDINE_SRC_ENGINE_POT_UNDO_H_
#define ONDINE_SRC_ENGINE_POT_UNDO_H_

#include <cstdint>
#include <optional>

#include "memory/pot.h"
#include "memory/pot_snapshot.h"
#include "ondine/result.h"

namespace ondine::engine {

class PotUndo {
 public:
  // Cheap where `tokens` more can be taken back by moving the end, else with a copy of the pot in a
  // temporary file (errors: kIo). The pot must be flushed, and live as long.
  static Result<PotUndo> Begin(memory::Pot& pot, std::int64_t tokens);
  // Peaks of what was undone count.
  Status Undo();

 private:
  explicit PotUndo(memory::Pot& pot) : pot_(&pot), mark_(pot.SetMark()) {}

  memory::Pot* pot_;
  memory::Pot::Mark mark_;
  std::optional<memory::PotSnapshot> snapshot_;
};

}  // namespace ondine::engine

#endif  // ONDINE_SRC_ENGINE_POT_UNDO_H_
