#include "compute/elementwise_loops.h"

namespace ondine::compute {

const ElementwiseKernels kElementwiseAvx2 = kLoops;

}  // namespace ondine::compute
