# mansio_pytest(NAME PATH [VARIABLE=VALUE...])
# One ctest `NAME` that runs a file or folder of Python tests with Debian's python, with the build
# folder and the given variables in its environment.
function(mansio_pytest NAME PATH)
  add_test(NAME ${NAME} COMMAND /usr/bin/python3 -m pytest -q -p no:cacheprovider ${PATH})
  set_tests_properties(${NAME} PROPERTIES
    TIMEOUT 300
    ENVIRONMENT "MANSIO_BUILD=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1;${ARGN}")
endfunction()

# mansio_pytest_files(KIND): every test_*.py of this folder, each a ctest `KIND.name`.
function(mansio_pytest_files KIND)
  file(GLOB paths CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/test_*.py)
  foreach(path ${paths})
    get_filename_component(name ${path} NAME_WE)
    string(REGEX REPLACE "^test_" "" name ${name})
    mansio_pytest(${KIND}.${name} ${path})
  endforeach()
endfunction()
