# Warnings, hardening and sanitizers, in one place, for every target through `mansio_flags`.
add_library(mansio_flags INTERFACE)
target_compile_options(mansio_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor)
if(MANSIO_WERROR)
  target_compile_options(mansio_flags INTERFACE -Werror)
endif()

# Assertions of the standard library stay on in every build: stopping beats going on wrong.
target_compile_definitions(mansio_flags INTERFACE
  _GLIBCXX_ASSERTIONS BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_BOOST_REGEX
  # A loop keeps so many frames of coroutines and handlers for reuse; two is too few for a session.
  BOOST_ASIO_RECYCLING_ALLOCATOR_CACHE_SIZE=8)

set(MANSIO_SANITIZE "" CACHE STRING "Value of -fsanitize=, such as address,undefined or thread")
if(MANSIO_SANITIZE)
  target_compile_options(mansio_flags INTERFACE
    -fsanitize=${MANSIO_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(mansio_flags INTERFACE -fsanitize=${MANSIO_SANITIZE})
  if(MANSIO_SANITIZE MATCHES thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # g++ 12 does not model the fences in Asio.
    target_compile_options(mansio_flags INTERFACE -Wno-tsan)
  endif()
else()
  target_compile_options(mansio_flags INTERFACE
    -fstack-protector-strong -fstack-clash-protection -fcf-protection
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
endif()
target_link_options(mansio_flags INTERFACE -Wl,-z,relro,-z,now -pie)

find_program(MANSIO_MOLD mold)
if(MANSIO_MOLD)
  target_link_options(mansio_flags INTERFACE -fuse-ld=mold)
endif()

# Programs compile as libraries do: one precompiled header serves both.
set(CMAKE_CXX_COMPILE_OPTIONS_PIE -fPIC)

find_program(MANSIO_CCACHE ccache)
if(MANSIO_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # The sloppiness lets ccache work with the precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${MANSIO_CCACHE})
endif()
