#include "compute/short_attention_loops.h"

namespace ondine::compute {

void AttendShortHeadNeon(const ShortHead& head) {
  AttendHead(head);
}

}  // namespace ondine::compute
