# The installed library, libondine: the objects of all folders in one archive (or, with
# BUILD_SHARED_LIBS, one shared library), the public headers, and what find_package(ondine) reads.
# The private ggml of scripts/bootstrap is installed along with it, in a folder of its own; a ggml
# from elsewhere stays where it is.
include(CMakePackageConfigHelpers)

set(ONDINE_INSTALL_GGML ${CMAKE_INSTALL_LIBDIR}/ondine/ggml)
set(ONDINE_INSTALL_CMAKE ${CMAKE_INSTALL_LIBDIR}/cmake/ondine)

# An installed program finds the private ggml from where it lies; any other by its absolute path.
string(FIND "${ggml_DIR}" "${ONDINE_PRIVATE_GGML}/" position)
if(position EQUAL 0)
  set(ONDINE_BUNDLES_GGML ON)
  file(RELATIVE_PATH libdir_from_bindir /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
  set(CMAKE_INSTALL_RPATH $ORIGIN/${libdir_from_bindir}/ondine/ggml/lib $ORIGIN/${libdir_from_bindir})
else()
  set(ONDINE_BUNDLES_GGML OFF)
  set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)
endif()

function(ondine_install)
  get_property(folders GLOBAL PROPERTY ONDINE_FOLDERS)
  get_property(outside GLOBAL PROPERTY ONDINE_OUTSIDE)
  list(REMOVE_DUPLICATES outside)

  list(TRANSFORM folders REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
  add_library(libondine ${objects})
  add_library(ondine::ondine ALIAS libondine)
  set_target_properties(libondine PROPERTIES
    OUTPUT_NAME ondine EXPORT_NAME ondine LINKER_LANGUAGE CXX
    VERSION ${PROJECT_VERSION} SOVERSION 0
    ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib
    INSTALL_RPATH $ORIGIN/ondine/ggml/lib)
  target_compile_features(libondine PUBLIC cxx_std_20)
  target_include_directories(libondine PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  list(REMOVE_ITEM outside tl::expected)
  target_link_libraries(libondine PUBLIC tl::expected PRIVATE ${outside})

  install(TARGETS libondine EXPORT ondineTargets)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ondine DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT ondineTargets NAMESPACE ondine:: DESTINATION ${ONDINE_INSTALL_CMAKE})
  configure_package_config_file(
    ${PROJECT_SOURCE_DIR}/cmake/ondineConfig.cmake.in ${PROJECT_BINARY_DIR}/ondineConfig.cmake
    INSTALL_DESTINATION ${ONDINE_INSTALL_CMAKE} PATH_VARS ONDINE_INSTALL_GGML)
  # Before 1.0 a minor version may change the API.
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/ondineConfigVersion.cmake
                                   COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/ondineConfig.cmake
                ${PROJECT_BINARY_DIR}/ondineConfigVersion.cmake
          DESTINATION ${ONDINE_INSTALL_CMAKE})
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/NOTICE
          DESTINATION ${CMAKE_INSTALL_DOCDIR})
  if(ONDINE_BUNDLES_GGML)
    install(DIRECTORY ${ONDINE_PRIVATE_GGML}/include ${ONDINE_PRIVATE_GGML}/lib
            DESTINATION ${ONDINE_INSTALL_GGML})
  endif()
  if(TARGET ondine)
    install(TARGETS ondine)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/assets/ DESTINATION ${CMAKE_INSTALL_DATADIR}/ondine)
  endif()
endfunction()
