# One place for compiler flags, the precompiled header and the two functions that declare a folder's library and tests.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
# No POSITION_INDEPENDENT_CODE: the compilers' default (PIE) is then the same for libraries and executables, so that both can use the
# one precompiled header.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
# Assertions stay on: no -DNDEBUG. With optimisation g++ 12 warns of correct std::string code (GCC bugs 105329, 105651).
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  string(APPEND CMAKE_CXX_FLAGS_RELWITHDEBINFO " -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread")
endif()
if(CMAKE_CXX_FLAGS_DEBUG STREQUAL "-g")  # CMake's own default: the caller did not choose
  set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1 -fno-omit-frame-pointer")
endif()
set(OSTRAKA_SANITIZE "" CACHE STRING "sanitizers, as in -fsanitize=")

find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(pugixml REQUIRED)
find_package(Protobuf REQUIRED)
find_package(PkgConfig REQUIRED)
find_library(ROCKSDB_LIBRARY rocksdb REQUIRED)
find_library(ISAL_LIBRARY isal REQUIRED)
find_library(XXHASH_LIBRARY xxhash REQUIRED)
find_library(JEMALLOC_LIBRARY jemalloc REQUIRED)
find_library(IPSEC_MB_LIBRARY IPSec_MB)  # optional, see net/CMakeLists.txt
find_path(IPSEC_MB_INCLUDE intel-ipsec-mb.h)

add_library(ostraka_flags INTERFACE)
target_compile_options(ostraka_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these for correct coroutine and std::string code
  target_compile_options(ostraka_flags INTERFACE -Wno-maybe-uninitialized -Wno-restrict -Wno-dangling-pointer -Wno-mismatched-new-delete)
else()
  # clang sees shadowing where g++ does not (lambda parameters, structured bindings), and counts omitted fields with defaults as missing
  target_compile_options(ostraka_flags INTERFACE -Wno-shadow -Wno-missing-field-initializers)
endif()
target_compile_definitions(ostraka_flags INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  BOOST_ERROR_CODE_HEADER_ONLY BOOST_ALL_NO_LIB SPDLOG_FMT_EXTERNAL SPDLOG_COMPILED_LIB)
target_include_directories(ostraka_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_link_libraries(ostraka_flags INTERFACE Threads::Threads OpenSSL::SSL OpenSSL::Crypto fmt::fmt spdlog::spdlog)
if(OSTRAKA_SANITIZE)
  target_compile_options(ostraka_flags INTERFACE -fsanitize=${OSTRAKA_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(ostraka_flags INTERFACE -fsanitize=${OSTRAKA_SANITIZE})
  if(OSTRAKA_SANITIZE MATCHES "thread")
    # ThreadSanitizer does not know fences; Asio's own are a second belt beside the locks of its scheduler.
    target_compile_definitions(ostraka_flags INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
endif()
if(OSTRAKA_FUZZ)
  target_compile_options(ostraka_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  target_link_options(ostraka_flags INTERFACE -fuse-ld=mold)
endif()

# The headers that nearly every file includes, compiled once.
set(OSTRAKA_PCH
  <algorithm> <array> <atomic> <chrono> <cstdint> <cstring> <deque> <functional> <map> <memory> <mutex> <optional> <span>
  <string> <string_view> <thread> <unordered_map> <utility> <variant> <vector>
  <tl/expected.hpp> <fmt/format.h> <boost/asio.hpp>)

# ostraka_library(base DEPENDS ... LIBRARIES ...): every .cc of the current folder as the static library ostraka_<name>
function(ostraka_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LIBRARIES;EXCLUDE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  foreach(file IN LISTS ARG_EXCLUDE)
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()
  if(NOT sources)
    add_library(ostraka_${name} INTERFACE)
    target_link_libraries(ostraka_${name} INTERFACE ostraka_flags)
    foreach(dep IN LISTS ARG_DEPENDS)
      target_link_libraries(ostraka_${name} INTERFACE ostraka_${dep})
    endforeach()
    return()
  endif()
  add_library(ostraka_${name} STATIC ${sources})
  target_link_libraries(ostraka_${name} PUBLIC ostraka_flags ${ARG_LIBRARIES})
  foreach(dep IN LISTS ARG_DEPENDS)
    target_link_libraries(ostraka_${name} PUBLIC ostraka_${dep})
  endforeach()
  if(name STREQUAL "base")
    target_precompile_headers(ostraka_base PRIVATE ${OSTRAKA_PCH})
  else()
    target_precompile_headers(ostraka_${name} REUSE_FROM ostraka_base)
  endif()
endfunction()

# What is only there to be tested is not part of `all`: a plain build gives the server and the benchmarks, the target `tests` the rest.
# ostraka_unit_test(base DEPENDS ...): tests/unit/<name>/*_test.cc as the executable <name>_test, each GoogleTest case a ctest case
function(ostraka_unit_test name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${name}/*.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(${name}_test EXCLUDE_FROM_ALL ${sources})
  add_dependencies(tests ${name}_test)
  target_link_libraries(${name}_test PRIVATE ostraka_flags GTest::gtest GTest::gmock GTest::gtest_main)
  # Asio's error categories are referenced wherever the precompiled header goes; runtime has Asio's compiled part.
  foreach(dep IN LISTS ARG_DEPENDS ITEMS runtime)
    target_link_libraries(${name}_test PRIVATE ostraka_${dep})
  endforeach()
  target_precompile_headers(${name}_test REUSE_FROM ostraka_base)
  target_compile_definitions(${name}_test PRIVATE OSTRAKA_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  gtest_discover_tests(${name}_test TEST_PREFIX ${name}. DISCOVERY_TIMEOUT 60 PROPERTIES LABELS unit TIMEOUT 120)
endfunction()
