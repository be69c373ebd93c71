// Tells model files apart without reading them whole.
#ifndef ONDINE_SRC_FORMATS_FINGERPRINT_H_
#define ONDINE_SRC_FORMATS_FINGERPRINT_H_

#include <string>

#include "formats/gguf.h"

namespace ondine::formats {

// 16 hexadecimal digits of a hash over all metadata (but general.*, which describes) and, of every
// tensor, name, type, shape and 16 stretches of 4 KiB spread evenly over its bytes: another
// training, quantisation or vocabulary changes it; a second's work even for large files.
std::string Fingerprint(const GgufFile& file);

}  // namespace ondine::formats

#endif  // ONDINE_SRC_FORMATS_FINGERPRINT_H_
