#include "engine/pot_undo.h"

#include "base/try.h"

namespace ondine::engine {

Result<PotUndo> PotUndo::Begin(memory::Pot& pot, std::int64_t tokens) {
  PotUndo undo(pot);
  if (!pot.CanRewind(tokens)) {
    ONDINE_ASSIGN(undo.snapshot_, memory::PotSnapshot::Take(pot));
  }
  return undo;
}

Status PotUndo::Undo() {
  const std::int64_t peak = pot_->counters().peak_entries;
  if (snapshot_) {
    ONDINE_TRY(snapshot_->Restore(*pot_));
  } else {
    pot_->Rewind(mark_);
  }
  pot_->NotePeak(peak);
  return {};
}

}  // namespace ondine::engine
