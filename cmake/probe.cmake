# Refuses a compiler that miscompiles coroutines, with the remedy.
try_run(CONSORT_PROBE_RUN CONSORT_PROBE_COMPILE
  SOURCES ${CMAKE_SOURCE_DIR}/tests/compiler/probe.cc
  CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
if(NOT CONSORT_PROBE_COMPILE OR NOT "${CONSORT_PROBE_RUN}" STREQUAL "0")
  message(FATAL_ERROR
    "${CMAKE_CXX_COMPILER} does not pass tests/compiler/probe.cc: it would miscompile coroutines.\n"
    "Use clang 19: apt-get install clang-19 lld-19, then configure in a fresh build directory "
    "with CC=clang-19 CXX=clang++-19 (or neither set).")
endif()
