# Compiles for 64-bit Arm on Debian, and runs what was compiled in QEMU: tests/arm/run makes the
# folders.
set(arm ${CMAKE_CURRENT_LIST_DIR}/../build/arm)
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_SYSROOT ${arm}/root)
set(CMAKE_FIND_ROOT_PATH ${arm}/root ${arm}/ggml)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${arm}/root)
set(ENV{PKG_CONFIG_LIBDIR}
    ${arm}/root/usr/lib/aarch64-linux-gnu/pkgconfig:${arm}/root/usr/share/pkgconfig)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64;-cpu;max;-L;${arm}/root)
