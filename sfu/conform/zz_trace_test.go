package conform_test

import (
	"fmt"
	"os"
)

func trace(format string, a ...any) {
	if os.Getenv("TRACE") != "" {
		fmt.Fprintf(os.Stderr, format+"\n", a...)
	}
}
