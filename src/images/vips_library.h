// libvips, loaded when the first picture is read. With the sixty libraries that it brings along it
// would take longer to load, and more memory, than everything else in a program that may never see
// a picture.
#ifndef ONDINE_SRC_IMAGES_VIPS_LIBRARY_H_
#define ONDINE_SRC_IMAGES_VIPS_LIBRARY_H_

#include <vips/vips.h>

namespace ondine::images {

// What is used of it, and of GLib.
#define ONDINE_VIPS_FUNCTIONS(F)     \
  F(g_free)                          \
  F(g_log_set_handler)               \
  F(g_object_unref)                  \
  F(vips_area_unref)                 \
  F(vips_array_double_new)           \
  F(vips_cache_set_max)              \
  F(vips_call)                       \
  F(vips_cast_uchar)                 \
  F(vips_colourspace)                \
  F(vips_concurrency_set)            \
  F(vips_error_clear)                \
  F(vips_flatten)                    \
  F(vips_foreign_find_load_source)   \
  F(vips_format_sizeof)              \
  F(vips_image_get_bands)            \
  F(vips_image_get_format)           \
  F(vips_image_get_height)           \
  F(vips_image_get_orientation)      \
  F(vips_image_get_string)           \
  F(vips_image_get_typeof)           \
  F(vips_image_get_width)            \
  F(vips_image_hasalpha)             \
  F(vips_image_new_from_memory)      \
  F(vips_init)                       \
  F(vips_jpegsave_buffer)            \
  F(vips_region_new)                 \
  F(vips_region_prepare)             \
  F(vips_source_new_from_descriptor) \
  F(vips_source_new_from_memory)

struct VipsLibrary {
#define ONDINE_VIPS_POINTER(name) decltype(&::name) name = nullptr;
  ONDINE_VIPS_FUNCTIONS(ONDINE_VIPS_POINTER)
#undef ONDINE_VIPS_POINTER
};

// Loaded and started at the first call, which may come from any thread; null where it is not
// installed or does not start.
const VipsLibrary* FindVips();
// For whoever knows that it is there.
const VipsLibrary& Vips();

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_VIPS_LIBRARY_H_
