# Fails if a page of the manual is not what the program prints.
execute_process(COMMAND ${PROGRAM} config manual ${PAGE} OUTPUT_VARIABLE made RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "mansio config manual ${PAGE} failed: ${failed}")
endif()
file(READ ${COMMITTED} committed)
if(NOT committed STREQUAL made)
  message(FATAL_ERROR "${COMMITTED} is out of date: build the target `manual` and commit the page")
endif()
