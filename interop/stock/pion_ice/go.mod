module pion_ice

go 1.19
