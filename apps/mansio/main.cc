// mansio: the operator's command.
#include "mansio/command_line.h"
#include "mansio/spool_program.h"

int main(int argc, char** argv) {
  return mansio::cli::run(argc, argv, mansio::cli::spool_program(argv));
}
