#include "images/vips_library.h"

#include <dlfcn.h>

#include <type_traits>

namespace ondine::images {
namespace {

#if defined(__APPLE__)
constexpr const char* kFile = "libvips.42.dylib";
#else
constexpr const char* kFile = "libvips.so.42";
#endif

bool Load(VipsLibrary& library) {
  // Never closed: its threads and types live as long as the process.
  void* file = dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
  if (file == nullptr) return false;
  bool whole = true;
  const auto find = [&](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(file, name));
    whole = whole && function != nullptr;
  };
#define ONDINE_VIPS_FIND(name) find(#name, library.name);
  ONDINE_VIPS_FUNCTIONS(ONDINE_VIPS_FIND)
#undef ONDINE_VIPS_FIND
  return whole;
}

bool Start(const VipsLibrary& vips) {
  // Damaged pictures are errors of ours; what libvips has to say of them goes nowhere.
  vips.g_log_set_handler(
      "VIPS", static_cast<GLogLevelFlags>(G_LOG_LEVEL_MASK | G_LOG_FLAG_RECURSION),
      [](const gchar*, GLogLevelFlags, const gchar*, gpointer) {}, nullptr);
  if (vips.vips_init("ondine") != 0) return false;
  vips.vips_concurrency_set(1);  // our threads have a picture each
  vips.vips_cache_set_max(0);    // no picture is read twice
  return true;
}

}  // namespace

const VipsLibrary* FindVips() {
  static VipsLibrary library;
  static const bool ready = Load(library) && Start(library);
  return ready ? &library : nullptr;
}

const VipsLibrary& Vips() {
  return *FindVips();
}

}  // namespace ondine::images
