# ondine_library(<folder> SOURCES ... [PUBLIC ...] [PRIVATE ...])
#
# One library a folder of src/, linked only against folders below it: the one-way rule of
# docs/architecture.md, enforced by the linker too. Its objects also become part of the installed
# library, and what it links from outside the project becomes a dependency of that.
function(ondine_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(ondine_${name} STATIC ${ARG_SOURCES})
  target_include_directories(ondine_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src
                                                   ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(ondine_${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})

  set(outside ${ARG_PUBLIC} ${ARG_PRIVATE})
  list(FILTER outside EXCLUDE REGEX "^ondine_")
  set_property(GLOBAL APPEND PROPERTY ONDINE_FOLDERS ondine_${name})
  set_property(GLOBAL APPEND PROPERTY ONDINE_OUTSIDE ${outside})
endfunction()
