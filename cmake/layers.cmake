# One library per layer, one test program per layer, one executable.
set(CONSORT_WARNINGS -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wdangling -Werror
  -Wno-missing-designated-field-initializers)  # defaults are the point of leaving members out

# What fuzzers call tells them its coverage. It is for all programs, so that one tree serves unit
# tests, system tests and fuzzers.
set(CONSORT_COVERAGE $<$<BOOL:${CONSORT_FUZZ}>:-fsanitize=fuzzer-no-link>)

# llhttp ships as C sources; strict mode because the default takes a bare CR as a header's end.
set(LLHTTP_DIR /usr/share/llhttp)
add_library(llhttp STATIC ${LLHTTP_DIR}/llhttp.c ${LLHTTP_DIR}/api.c ${LLHTTP_DIR}/http.c)
target_include_directories(llhttp SYSTEM PUBLIC /usr/share/include/llhttp)
target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
target_compile_options(llhttp PRIVATE ${CONSORT_COVERAGE})

# OpenSSL's archives by name: with find_package a static build may still pick the shared ones.
find_library(SSL_ARCHIVE libssl.a)
find_library(CRYPTO_ARCHIVE libcrypto.a)
if(NOT SSL_ARCHIVE OR NOT CRYPTO_ARCHIVE)
  message(FATAL_ERROR "libssl.a or libcrypto.a is missing: run scripts/deps build (package libssl-dev)")
endif()

# The authorities that the executable carries: the package's files and not /etc/ssl/certs, which
# holds what the build machine's owner trusts besides, and would make builds differ.
file(GLOB ca_files /usr/share/ca-certificates/mozilla/*.crt)
if(NOT ca_files)
  message(FATAL_ERROR "no authorities in /usr/share/ca-certificates/mozilla: run scripts/deps build"
    " (package ca-certificates)")
endif()
set(ca_bundle "")
foreach(file ${ca_files})
  file(READ ${file} text)
  string(APPEND ca_bundle "${text}")
endforeach()
set(CA_BUNDLE ${CMAKE_BINARY_DIR}/ca_bundle.pem)
file(CONFIGURE OUTPUT ${CA_BUNDLE} CONTENT "${ca_bundle}" @ONLY)  # rewritten only when it changes
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/io/tls/ca_bundle.cc PROPERTIES
  COMPILE_DEFINITIONS CONSORT_CA_BUNDLE="${CA_BUNDLE}" OBJECT_DEPENDS ${CA_BUNDLE})

# The one that does: a thread that cannot be made is told so by an exception.
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/manage/runtime.cc PROPERTIES
  COMPILE_OPTIONS -fexceptions SKIP_PRECOMPILE_HEADERS ON)

function(consort_layer name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc
       ${CMAKE_SOURCE_DIR}/src/${name}/*/*.cc ${CMAKE_SOURCE_DIR}/src/${name}/*/*/*.cc)
  string(REPLACE "/" "_" target consort_${name})
  if(NOT sources)
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE ${ARGN})
    return()
  endif()
  add_library(${target} STATIC ${sources})
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  # Nothing below app/ throws, and code that need not be ready for it is a sixth smaller.
  target_compile_options(${target} PRIVATE ${CONSORT_WARNINGS} ${CONSORT_COVERAGE}
    $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>)
  target_compile_definitions(${target} PRIVATE CONSORT_VERSION="${PROJECT_VERSION}")
  target_link_libraries(${target} PUBLIC ${ARGN})
  target_precompile_headers(${target} PRIVATE <cstdint> <functional> <memory> <optional> <span>
    <string> <string_view> <vector> <tl/expected.hpp>)
endfunction()

# Like OpenSSL's, lest a shared one is picked.
foreach(library pcre2-8 deflate zstd z)
  string(TOUPPER ${library} upper)
  find_library(${upper}_ARCHIVE lib${library}.a)
  if(NOT ${upper}_ARCHIVE)
    message(FATAL_ERROR "lib${library}.a is missing: run scripts/deps build")
  endif()
endforeach()

consort_layer(base yaml ${PCRE2-8_ARCHIVE})
consort_layer(async consort_base)
consort_layer(wire consort_base llhttp ${DEFLATE_ARCHIVE} ${ZSTD_ARCHIVE} ${Z_ARCHIVE})
consort_layer(io consort_async uv_a cares ${SSL_ARCHIVE} ${CRYPTO_ARCHIVE} Threads::Threads ${CMAKE_DL_LIBS})
# Wire before io, so that OpenSSL's constants do not lie between ours.
consort_layer(net consort_wire consort_io)
consort_layer(manage consort_net)
# It runs at the start and when somebody asks.
target_compile_options(consort_manage PRIVATE $<$<CONFIG:Release>:-Oz>)
consort_layer(roles consort_manage)

file(GLOB app_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/app/*.cc)
if(app_sources)
  add_executable(consort ${app_sources})
  target_include_directories(consort PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_compile_options(consort PRIVATE ${CONSORT_WARNINGS} $<$<CONFIG:Release>:-Oz>)
  target_compile_definitions(consort PRIVATE CONSORT_VERSION="${PROJECT_VERSION}")
  target_link_libraries(consort PRIVATE consort_roles)
  # What roles run lies side by side: less memory is resident (made by scripts/function-order).
  set(function_order ${CMAKE_SOURCE_DIR}/cmake/function_order.txt)
  target_link_options(consort PRIVATE -Wl,--symbol-ordering-file=${function_order}
    -Wl,--no-warn-symbol-ordering)
  set_target_properties(consort PROPERTIES LINK_DEPENDS ${function_order})
endif()

# tests/unit/<layer>/*.cc -> unit_<layer>, linked to that layer; `units` are all of them.
add_custom_target(units)
set_source_files_properties(${CMAKE_SOURCE_DIR}/tests/unit/main.cc PROPERTIES
  SKIP_PRECOMPILE_HEADERS ON)
function(consort_unit layer)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${layer}/*.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(unit_${layer} ${sources} ${CMAKE_SOURCE_DIR}/tests/unit/main.cc)
  target_include_directories(unit_${layer} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  # What is tested stays optimized; the tests themselves compile in a third of the time without.
  target_compile_options(unit_${layer} PRIVATE ${CONSORT_WARNINGS} $<$<CONFIG:Debug>:-O0>)
  target_link_libraries(unit_${layer} PRIVATE consort_${layer})
  target_precompile_headers(unit_${layer} PRIVATE <doctest/doctest.h> <algorithm> <chrono> <deque>
    <functional> <map> <memory> <optional> <set> <span> <string> <string_view> <vector>
    <tl/expected.hpp>)
  add_dependencies(units unit_${layer})
endfunction()

# A role that blocks its loop on purpose, for the tests of the management interface.
set(stall_role_source ${CMAKE_SOURCE_DIR}/tests/system/manage/stall_role.cc)
if(EXISTS ${stall_role_source})
  add_executable(stall_role ${stall_role_source})
  target_compile_options(stall_role PRIVATE ${CONSORT_WARNINGS})
  target_link_libraries(stall_role PRIVATE consort_manage)
endif()

# tests/bench/*.cc -> bench_<name>: data paths without a kernel, for scripts/budget; `benches` are
# all of them.
add_custom_target(benches)
file(GLOB bench_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/bench/*.cc)
foreach(source ${bench_sources})
  cmake_path(GET source STEM name)
  add_executable(bench_${name} ${source})
  target_compile_options(bench_${name} PRIVATE ${CONSORT_WARNINGS})
  target_link_libraries(bench_${name} PRIVATE consort_roles)
  add_dependencies(benches bench_${name})
endforeach()

function(consort_fuzz)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/*.cc)
  add_custom_target(fuzzers)
  foreach(source ${sources})
    cmake_path(GET source STEM name)
    add_executable(fuzz_${name} EXCLUDE_FROM_ALL ${source})
    target_include_directories(fuzz_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
    target_compile_options(fuzz_${name} PRIVATE ${CONSORT_WARNINGS} ${CONSORT_COVERAGE})
    target_link_libraries(fuzz_${name} PRIVATE consort_roles)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzzers fuzz_${name})
  endforeach()
endfunction()

if(CONSORT_FUZZ)
  consort_fuzz()
endif()

foreach(layer base async wire io net manage roles)
  consort_unit(${layer})
endforeach()

# What is counted (allocations, writes), which only an optimized build without sanitizers can show:
# these tests of unit_* alone, for the system stage of scripts/test.
file(GLOB cost_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/*/*_cost_test.cc)
add_executable(unit_costs EXCLUDE_FROM_ALL ${cost_sources} ${CMAKE_SOURCE_DIR}/tests/unit/main.cc)
target_include_directories(unit_costs PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_compile_options(unit_costs PRIVATE ${CONSORT_WARNINGS})
target_link_libraries(unit_costs PRIVATE consort_roles)
