// The processes that train together, as torchrun's environment variables describe them.
#ifndef ONDINE_TRAIN_PROCESS_GROUP_H_
#define ONDINE_TRAIN_PROCESS_GROUP_H_

#include <torch/types.h>

#include <memory>

#include "ondine/result.h"

namespace ondine::train {

class ProcessGroup {
 public:
  // One process, alone.
  ProcessGroup();
  // RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT; alone where they are not set. Waits until all
  // processes are there. Errors: kInvalidArgument (a variable makes no sense), kIo (not reached).
  static Result<ProcessGroup> FromEnvironment();
  ProcessGroup(ProcessGroup&&) noexcept;
  ProcessGroup& operator=(ProcessGroup&&) noexcept;
  ~ProcessGroup();

  int rank() const { return rank_; }
  int size() const { return size_; }
  // Replaces a tensor, of whatever device, by its sum over all processes. Throws as torch does.
  void Sum(torch::Tensor& values) const;
  // Whether it is so in any of the processes.
  bool Any(bool here) const;

 private:
  struct Backend;
  int rank_ = 0, size_ = 1;
  std::unique_ptr<Backend> backend_;
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_PROCESS_GROUP_H_
