package demo

// ServeAt is Serve with an age of the Web that the test decides.
var ServeAt = serve
