#include "compute/elementwise_loops.h"

namespace ondine::compute {

const ElementwiseKernels kElementwiseAvx512 = kLoops;

}  // namespace ondine::compute
