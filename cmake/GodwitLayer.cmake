# SPDX-License-Identifier: Apache-2.0
#
# Compiler settings that every target shares, and the two functions that make a layer and its tests.

add_library(godwit_options INTERFACE)
target_include_directories(godwit_options INTERFACE ${PROJECT_SOURCE_DIR}/include
                                                    ${PROJECT_SOURCE_DIR}/src)
target_compile_options(godwit_options INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wswitch-enum
                                                -Wnon-virtual-dtor)
if(GODWIT_WERROR)
  target_compile_options(godwit_options INTERFACE -Werror)
endif()
if(GODWIT_SANITIZE)
  target_compile_options(godwit_options INTERFACE -fsanitize=${GODWIT_SANITIZE}
                                                  -fno-sanitize-recover=all
                                                  -fno-omit-frame-pointer)
  target_link_options(godwit_options INTERFACE -fsanitize=${GODWIT_SANITIZE})
endif()
if(GODWIT_COVERAGE)
  target_compile_options(godwit_options INTERFACE --coverage)
  target_link_options(godwit_options INTERFACE --coverage)
endif()

# godwit_layer(NAME [DEPENDS layer...] [LIBRARIES target...])
#
# One static library godwit_NAME of the .cpp files below the calling folder, and, of its *_test.cpp
# files, one program NAME_test whose cases ctest lists under the label "unit".
function(godwit_layer name)
  cmake_parse_arguments(LAYER "" "" "DEPENDS;LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(TRANSFORM LAYER_DEPENDS PREPEND godwit_)

  if(sources)
    add_library(godwit_${name} STATIC ${sources})
    target_link_libraries(godwit_${name} PUBLIC godwit_options ${LAYER_DEPENDS}
                                                tl::expected PRIVATE ${LAYER_LIBRARIES})
  else()
    add_library(godwit_${name} INTERFACE)
    target_link_libraries(godwit_${name} INTERFACE godwit_options ${LAYER_DEPENDS} tl::expected)
  endif()

  if(tests AND PROJECT_IS_TOP_LEVEL)
    godwit_test(${name}_test LABEL unit SOURCES ${tests} LIBRARIES godwit_${name}
                                                                   ${LAYER_LIBRARIES})
  endif()
endfunction()

# godwit_test(NAME LABEL label SOURCES file... LIBRARIES target...): a GoogleTest program; ctest runs
# it whole, for a process per case costs more than the cases do.
function(godwit_test name)
  cmake_parse_arguments(TEST "" "LABEL" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE ${TEST_LIBRARIES} godwit_options GTest::gmock_main)
  # What a test tests is optimised as the preset says; its own code compiles in half the time without.
  target_compile_options(${name} PRIVATE -O0)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${TEST_LABEL} TIMEOUT 600)
endfunction()
