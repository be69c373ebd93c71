#include "compute/short_attention_loops.h"

namespace ondine::compute {

void AttendShortHeadAvx2(const ShortHead& head) {
  AttendHead(head);
}

}  // namespace ondine::compute
