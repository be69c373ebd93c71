// The configuration files that lie beside a CLIP checkpoint.
#ifndef ONDINE_SRC_IMAGES_CLIP_CONFIG_H_
#define ONDINE_SRC_IMAGES_CLIP_CONFIG_H_

#include <string>
#include <string_view>

#include "models/clip_spec.h"
#include "ondine/result.h"

namespace ondine::images {

// config.json of transformers' CLIPModel and, where there is one, preprocessor_config.json (else
// empty). What a file leaves out is as in OpenAI's ViT-B/32. `name` stands in error messages.
// Errors: kCorrupt (no such file, numbers that make no sense), kUnsupported (another model, or a
// part that is not known, by name).
Result<models::ClipSpec> ParseTransformersConfig(std::string_view config,
                                                 std::string_view preprocessor,
                                                 const std::string& name);

// The same from OpenCLIP's open_clip_config.json.
Result<models::ClipSpec> ParseOpenClipConfig(std::string_view config, const std::string& name);

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_CLIP_CONFIG_H_
