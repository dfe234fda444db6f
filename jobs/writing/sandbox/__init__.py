"""The sandbox renders templates of people whom nobody has checked: they read values, run no code, and end soon."""
